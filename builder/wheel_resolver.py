"""Runs pip as if on the base: a program of its own, started as `python wheel_resolver.py`.

    wheel_resolver.py ENVIRONMENT HELD REPORT pip-arguments…

pip can be told another platform and Python version, but it still evaluates requirements' markers
(`python_version < "3.9"`, `platform_machine == "aarch64"`), and the `Requires-Python` of what it
found, for the Python it runs on. Here both are held against ENVIRONMENT (JSON, marker -> value).
After pip has written its report (version 1,
pip.pypa.io/en/stable/reference/installation-report), entries that only packages in HELD (JSON,
canonical names; the base has them) asked for are taken out of it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(report: dict[str, Any], held: set[str], requirement: Callable[[str], Any]) -> set[str]:
    """The canonical names that the requested packages lead to without passing through held."""
    entries = {canonical(item["metadata"]["name"]): item for item in report["install"]}
    waiting = [
        (name, extra)
        for name, item in entries.items()
        if item["requested"]
        for extra in ["", *item.get("requested_extras", [])]
    ]
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen or name in held or name not in entries:
            continue
        seen.add((name, extra))
        for text in entries[name]["metadata"].get("requires_dist", []):
            needed = requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(canonical(needed.name), item) for item in ["", *needed.extras]]
    return {name for name, _ in seen}


def main() -> None:
    """Resolve, then thin the report out; exits with pip's status."""
    from pip._internal.cli.main import main as pip
    from pip._internal.commands.install import InstallCommand
    from pip._vendor.packaging import markers
    from pip._vendor.packaging.requirements import Requirement

    environment, held, path = json.loads(sys.argv[1]), set(json.loads(sys.argv[2])), sys.argv[3]
    own = markers.default_environment
    markers.default_environment = lambda: {**own(), **environment}
    if not markers.Marker("platform_machine == 'aarch64'").evaluate():
        sys.exit("this pip evaluates markers in a way imgctl does not know; install pip 23 to 26")
    version = tuple(int(part) for part in environment["python_full_version"].split("."))
    make = InstallCommand.make_resolver
    InstallCommand.make_resolver = staticmethod(  # type: ignore[method-assign]
        lambda *given, **named: make(*given, **{**named, "py_version_info": version})
    )
    status = pip(sys.argv[4:])
    if status:
        sys.exit(status)
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - a script with no imports to spare
        report = json.load(stream)
    names = wanted(report, held, Requirement)
    report["install"] = [
        item for item in report["install"] if canonical(item["metadata"]["name"]) in names
    ]
    with open(path, "w", encoding="utf-8") as stream:  # noqa: PTH123
        json.dump(report, stream)


if __name__ == "__main__":
    main()
