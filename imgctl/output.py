"""What reaches the user: results on stdout, errors on stderr, exit codes."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from registry.errors import ImgctlError
from registry.text import visible

INTERRUPTED = 130


def run(group: click.Group, args: list[str] | None = None) -> int:
    """Run the command line; return the exit code (0, 1, 2, 3 or 130), never raise."""
    code = _run(group, args)
    if sys.stdout is None:  # closed by whoever started us
        return code
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is still in the buffer can go nowhere; the interpreter shall not try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return code
        print_error(_from_os(error))
        return 1
    return code


def _run(group: click.Group, args: list[str] | None) -> int:
    try:
        # https://no-color.org: any value but an empty one. None lets the terminal decide.
        color = False if os.environ.get("NO_COLOR") else None
        result = group.main(args=args, prog_name="imgctl", standalone_mode=False, color=color)
    except click.exceptions.Abort:
        click.echo("imgctl: interrupted; run the same command again to finish", err=True)
        return INTERRUPTED
    except KeyboardInterrupt:
        click.echo("imgctl: interrupted; run the same command again to finish", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ImgctlError as error:
        print_error(error)
        return error.exit_code
    except SystemExit:
        # So click ends when the reader of our stdout left (`| head`): no error worth a line.
        return 0
    except OSError as error:
        print_error(_from_os(error))
        return 1
    return result if isinstance(result, int) else 0


def print_error(error: ImgctlError) -> None:
    """One line what, one line why, one line what to do, on stderr.

    A registry's own words may be in them: what a terminal would obey is shown as an escape.
    """
    for label, text in (("imgctl", error.what), ("  why", error.why), ("  fix", error.hint)):
        if text:
            click.echo(f"{label}: {visible(text)}", err=True)


def _from_os(error: OSError) -> ImgctlError:
    import errno

    place = str(error.filename) if error.filename else ""
    what = (error.strerror or str(error)).lower()
    hints = {
        errno.ENOSPC: "free some space and run the same command again",
        errno.EACCES: "run as a user who may write there, or choose another folder",
        errno.EROFS: "choose a folder on a writable file system",
    }
    return ImgctlError(what, place, hints.get(error.errno or 0, ""))


def print_json(value: Any) -> None:
    """A result as indented JSON on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
