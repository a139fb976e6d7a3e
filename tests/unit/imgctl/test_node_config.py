"""`imgctl node config`: what is printed, what is written, what is refused."""

from __future__ import annotations

import errno
import json
import tempfile
from pathlib import Path

import pytest

from tests.unit.imgctl.records import Call


def test_the_diff_is_shown_and_nothing_written(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"debug": true}\n')
    code, out, err = call("node", "config", "docker", str(path))
    assert code == 0
    assert '+{"debug": true, "runtimes"' in out
    assert "nothing written; add --write" in err
    assert path.read_text() == '{"debug": true}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_the_answer_as_json(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("version = 2\n")
    code, out, _ = call("node", "config", "containerd", str(path), "--write", "--format", "json")
    value = json.loads(out)
    assert (code, value["changed"], value["written"]) == (0, True, True)
    assert value["after"] == path.read_text()
    assert Path(value["backup"]).read_text() == "version = 2\n"
    _, out, _ = call("node", "config", "containerd", str(path), "--format", "json")
    assert json.loads(out)["changed"] is False


def test_an_imported_file_that_undoes_the_edit_is_named(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    drop_in = folder / "99-nvidia.toml"
    drop_in.write_text('[plugins."io.containerd.grpc.v1.cri"]\nenable_cdi = true\n')
    path = tmp_path / "config.toml"
    for pattern in ("conf.d/*.toml", f"{folder}/*.toml"):
        path.write_text(f'version = 2\nimports = ["{pattern}"]\n')
        _, _, err = call("node", "config", "containerd", str(path))
        assert f"warning: {drop_in} is imported" in err
    path.write_text('version = 2\nimports = ["none/*.toml"]\n')
    _, _, err = call("node", "config", "containerd", str(path))
    assert "warning" not in err


def test_a_device_is_not_replaced(call: Call) -> None:
    code, _, err = call("node", "config", "docker", "/dev/null", "--write")
    assert code == 2
    assert "is no file that can be replaced" in err
    assert Path("/dev/null").is_char_device()


def test_no_permission_is_one_error_and_leaves_the_file(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> tuple[int, str]:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "daemon.json"
    path.write_text("{}")
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    code, _, err = call("node", "config", "docker", str(path), "--write")
    assert code == 1
    assert "cannot be written" in err
    assert "run it as root" in err
    assert [item.read_text() for item in tmp_path.iterdir()] == ["{}"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["containerd", "--fresh", "x.toml"], "--fresh edits no file"),
        (["containerd", "--fresh", "--write"], "--write needs a file"),
        (["docker", "-", "--write"], "--write needs a file"),
        (["docker", "."], "is a folder"),
        (["docker", "/dev/zero"], "is no configuration file"),
        (["docker", "--fresh", "--sandbox-image", "a b"], "is not an image reference"),
        (["podman"], "'podman' is not one of"),
    ],
)
def test_bad_input_is_one_error(call: Call, arguments: list[str], said: str) -> None:
    code, out, err = call("node", "config", *arguments)
    assert (code, out) == (2, "")
    assert said in err
