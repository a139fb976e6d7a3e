"""Commands in Markdown: the lines of ```console blocks that begin with `$ `."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HERE = re.compile(r"<<-?\s*'?(\w+)'?")


def commands(document: Path) -> list[str]:
    """Every command of a document, in order; here-documents belong to their command."""
    found: list[str] = []
    for block in _BLOCK.findall(document.read_text(encoding="utf-8")):
        lines = iter(block.splitlines())
        for line in lines:
            if not line.startswith("$ "):
                continue
            text = line[2:]
            while text.endswith("\\"):
                text += "\n" + next(lines)
            if here := _HERE.search(text):
                for more in lines:
                    text += "\n" + more
                    if more == here[1]:
                        break
            found.append(text)
    return found
