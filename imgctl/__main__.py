"""The program's beginning, as console script and as `python -m imgctl`."""

from __future__ import annotations

import os
import signal
import sys

from imgctl import __version__


def main() -> None:
    """Load the command line and run it; Ctrl-C ends it quietly also while it loads."""
    if sys.argv[1:] == ["--version"]:
        print(f"imgctl {__version__}")  # nothing has to be loaded for it
        return
    before = signal.getsignal(signal.SIGINT)
    if before == signal.default_int_handler:  # else it is ignored, as in a background job
        signal.signal(signal.SIGINT, _end)
    from imgctl.cli import main as run

    signal.signal(signal.SIGINT, before)
    run()


def _end(number: int, frame: object) -> None:
    # Nothing has been begun, and an exception within an import would be told with a traceback.
    os.write(2, b"imgctl: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
