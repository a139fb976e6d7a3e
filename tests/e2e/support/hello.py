"""An image small enough to be run under emulation again and again: it says where it runs."""

from __future__ import annotations

from pathlib import Path

DEFINITION = """\
name: hello
version: 1.0.0
bases: [l4t-pytorch]
files:
  - {source: hello.py, target: /opt/hello.py}
command: [python3, /opt/hello.py]
"""
SCRIPT = """\
import os
import sys

print("hello from", os.uname().machine, *sys.argv[1:])
sys.exit(len(sys.argv) - 1)
"""


def write_hello(folder: Path) -> None:
    """Write the image `hello` below folder, as a team keeps its images."""
    image = folder / "images/hello"
    image.mkdir(parents=True)
    (image / "image.yaml").write_text(DEFINITION)
    (image / "hello.py").write_text(SCRIPT)
