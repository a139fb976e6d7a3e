"""`imgctl node check` on this machine and on facts from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.unit.deploy.test_node_check import text
from tests.unit.imgctl.records import Call


def test_facts_of_a_device_are_judged(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "facts.txt"
    path.write_text(text())
    code, out, _ = call("node", "check", "--facts", str(path))
    assert code == 0
    assert "imgctl build mnist --l4t r35.2.1" in out
    path.write_text(text(packages="docker.io 20.10.12 installed"))
    code, out, _ = call("node", "check", "--facts", str(path), "--format", "json")
    assert code == 3
    assert json.loads(out)["ready"] is False


def test_facts_may_come_through_a_pipe(call: Call, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"cat > {pipe}"], stdin=subprocess.PIPE, text=True) as cat:
        assert cat.stdin is not None
        cat.stdin.write(text())
        cat.stdin.close()
        code, out, _ = call("node", "check", "--facts", str(pipe))
    assert (code, "r35.2.1" in out) == (0, True)


def test_the_script_is_printed_whole(call: Call) -> None:
    code, out, _ = call("node", "check", "--script")
    assert (code, out.splitlines()[0]) == (0, "#!/bin/sh")


def test_facts_that_are_none_are_bad_input(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "facts.txt"
    path.write_text("hello")
    code, _, err = call("node", "check", "--facts", str(path))
    assert code == 2
    assert "node check --script" in err
    code, _, err = call("node", "check", "--facts", str(tmp_path / "none"))
    assert code == 2
    assert "there is no file" in err
