"""Run one command and write down its wall time and peak memory: launch.py RESULT COMMAND….

A process of its own because Linux hands a parent's peak memory on to what it starts: the
measuring program is large, this one is not. Nothing but the standard library, for `-I -S`.
"""

import json
import os
import sys
import time


def main() -> int:
    """Write {"seconds", "processor", "peak_rss"} to RESULT; the exit code is the command's.

    seconds: on the wall; processor: seconds of it, user and system; peak_rss: bytes.
    """
    result, command = sys.argv[1], sys.argv[2:]
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.execvp(command[0], command)
        except OSError as error:
            sys.stderr.write(f"{command[0]}: {error.strerror}\n")
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - began
    with open(result, "w") as file:  # noqa: PTH123 - pathlib would double the start-up
        # The kernel counts in KiB, for the largest process of those the command waited for.
        measured = {
            "seconds": seconds,
            "processor": usage.ru_utime + usage.ru_stime,
            "peak_rss": usage.ru_maxrss * 1024,
        }
        json.dump(measured, file)
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main())
