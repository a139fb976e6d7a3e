"""Docker's daemon.json: nvidia added, everything else kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.node_docker import edit_daemon_json
from deploy.node_files import RuntimeWish, read_text, write_text
from registry.errors import BadInput, ImgctlError


def after(text: str, wish: RuntimeWish | None = None) -> dict[str, object]:
    found: dict[str, object] = json.loads(edit_daemon_json(text, wish or RuntimeWish()).after)
    return found


def test_fresh_file_means_what_the_hand_written_one_meant() -> None:
    config = after("")
    assert config["default-runtime"] == "nvidia"
    assert config["runtimes"] == {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}}


def test_unrelated_settings_and_other_runtimes_stay() -> None:
    text = '{\n  "data-root": "/data/docker",\n  "runtimes": {"kata": {"path": "kata"}}\n}\n'
    config = after(text)
    assert config["data-root"] == "/data/docker"
    assert config["runtimes"] == {
        "kata": {"path": "kata"},
        "nvidia": {"path": "/usr/bin/nvidia-container-runtime"},
    }
    assert '\n  "data-root"' in edit_daemon_json(text, RuntimeWish()).after


def test_a_path_chosen_before_is_respected() -> None:
    text = '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}}}'
    assert after(text)["runtimes"] == json.loads(text)["runtimes"]


def test_without_default_only_the_runtime_is_added() -> None:
    assert "default-runtime" not in after("", RuntimeWish(default=False))


def test_cgroup_driver_replaces_the_one_set() -> None:
    text = '{"exec-opts": ["native.cgroupdriver=cgroupfs", "x=y"]}'
    config = after(text, RuntimeWish(systemd_cgroup=True))
    assert config["exec-opts"] == ["x=y", "native.cgroupdriver=systemd"]


def test_cdi_switch_is_a_feature() -> None:
    assert after("", RuntimeWish(cdi=True))["features"] == {"cdi": True}


def test_a_second_run_changes_nothing() -> None:
    once = edit_daemon_json("", RuntimeWish(cdi=True))
    assert not edit_daemon_json(once.after, RuntimeWish(cdi=True)).changed


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '// mine\n{"a": 1}',
        '{"a": 1} # mine',
        "[]",
        "{",
        '{"runtimes": []}',
        '{"runtimes": {"nvidia": "x"}}',
        '{"exec-opts": "native.cgroupdriver=systemd"}',
        '{"shutdown-timeout": NaN}',
        '{"a": {"b": 1, "b": 1}}',
        '{"a": 1}{}',
        "null",
        "[" * 100_000,
    ],
)
def test_what_dockerd_would_not_read_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        edit_daemon_json(text, RuntimeWish(systemd_cgroup=True))


def test_what_nobody_changed_is_not_in_the_diff() -> None:
    text = (
        '{\n\t"hosts": ["unix:///a", "tcp://b"],\n\t"log-opts": {"max-size": "\\ud800"},\n'
        '\t"shutdown-timeout": 1e1\n}\n'
    )
    diff = edit_daemon_json(text, RuntimeWish()).diff("daemon.json").splitlines()[3:]
    assert [line for line in diff if line.startswith("-")] == ['-\t"shutdown-timeout": 1e1']


def test_byte_order_mark_and_line_ends_stay() -> None:
    text = '\ufeff{\r\n  "debug": true\r\n}\r\n'
    found = edit_daemon_json(text, RuntimeWish()).after
    assert found.startswith('\ufeff{\r\n  "debug": true,\r\n  "runtimes"')
    assert found.count("\n") == found.count("\r\n")


def test_nothing_set_to_null_is_in_the_way() -> None:
    text = '{"runtimes": null, "exec-opts": null, "features": null}'
    config = after(text, RuntimeWish(systemd_cgroup=True, cdi=True))
    assert config["features"] == {"cdi": True}
    assert config["exec-opts"] == ["native.cgroupdriver=systemd"]


def test_a_runtime_given_by_its_type_gets_no_path() -> None:
    text = '{"runtimes": {"nvidia": {"runtimeType": "io.containerd.runc.v2"}}}'
    assert after(text)["runtimes"] == json.loads(text)["runtimes"]


def test_the_pause_image_is_said_not_to_be_docker_s() -> None:
    assert "cri-dockerd" in edit_daemon_json("", RuntimeWish(sandbox_image="a/b:1")).warnings[0]


def test_a_comment_anywhere_is_called_one() -> None:
    for text in ('{\n  "a": 1 // mine\n}', "{ # mine\n}", "/* mine */ {}"):
        with pytest.raises(BadInput, match="JSON has no comments"):
            edit_daemon_json(text, RuntimeWish())


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("{}")
    link = tmp_path / "daemon.json"
    link.symlink_to(real)
    write_text(link, edit_daemon_json(read_text(link), RuntimeWish()))
    assert link.is_symlink()
    assert json.loads(real.read_text())["default-runtime"] == "nvidia"


def test_written_in_one_step_with_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text("{}")
    path.chmod(0o600)
    edit = edit_daemon_json(read_text(path), RuntimeWish())
    backup = write_text(path, edit)
    assert backup is not None
    assert backup.read_text() == "{}"
    assert path.read_text() == edit.after
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text("{}")
    edit = edit_daemon_json(read_text(path), RuntimeWish())
    path.write_text('{"debug": true}')
    with pytest.raises(ImgctlError, match="changed by someone else"):
        write_text(path, edit)
    assert path.read_text() == '{"debug": true}'
    assert list(tmp_path.iterdir()) == [path]


def test_a_fresh_file_gets_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "daemon.json"
    assert write_text(path, edit_daemon_json(read_text(path), RuntimeWish())) is None
    assert json.loads(path.read_text())["default-runtime"] == "nvidia"
