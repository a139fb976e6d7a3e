"""Node configuration, judged by the programs that read it: dockerd and containerd."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl
from tests.e2e.support.processes import free_port, run_quietly, server, tool

DAEMONS = {
    "missing": None,
    "empty": "{}",
    "settings of its own": '{\n\t"log-driver": "json-file",\n\t"log-opts": {"max-size": "10m"},\n'
    '\t"registry-mirrors": ["https://mirror.example"]\n}\n',
    "byte order mark, carriage returns": '\ufeff{\r\n  "debug": true\r\n}\r\n',
    "nothing but null": '{"runtimes": null}',
    "the runtime, not the default": '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", '
    '"runtimeArgs": []}}}',
}
CONFIGS = {
    "missing": None,
    "a comment only": "# mine\n",
    "settings of its own": 'version = 2\nroot = "/data/containerd"\n\n[plugins]\n'
    '  # kept\n  [plugins."io.containerd.grpc.v1.cri".registry]\n'
    '    config_path = "/etc/containerd/certs.d"\n',
    "the runtime v1 plugin beside CRI": 'version = 2\n[plugins."io.containerd.runtime.v1.linux"]\n'
    '  shim = "containerd-shim"\n  runtime = "nvidia-container-runtime"\n',
    "CRI switched off": 'disabled_plugins = ["cri"]\nversion = 2\n',
    "no version": '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\n'
    '  runtime_type = "io.containerd.runc.v2"\n',
    "no version, plugins switched off": 'disabled_plugins = ["cri", "zfs"]\n',
    "inline": "version = 2\n[plugins]\n"
    '"io.containerd.grpc.v1.cri" = {sandbox_image = "a.example/pause:1"}\n',
    "byte order mark, carriage returns": "\ufeffversion = 2\r\n[metrics]\r\n",
}


@pytest.mark.parametrize("case", DAEMONS)
def test_dockerd_takes_the_configuration(case: str, imgctl: Imgctl, tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    before = DAEMONS[case]
    if before is not None:
        path.write_bytes(before.encode())
    imgctl("node", "config", "docker", str(path), "--write").check()
    value = json.loads(path.read_text("utf-8-sig"))
    assert value["default-runtime"] == "nvidia"
    for key, kept in json.loads((before or "{}").lstrip("\ufeff")).items():
        if key != "runtimes":
            assert value[key] == kept
    judged = subprocess.run(
        [tool("dockerd"), "--validate", "--config-file", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stderr
    written = path.read_text()
    again = imgctl("node", "config", "docker", str(path), "--write").check()
    assert "nothing to change" in again.stdout
    assert path.read_text() == written


@pytest.mark.parametrize("case", CONFIGS)
def test_containerd_takes_the_configuration(case: str, imgctl: Imgctl, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    before = CONFIGS[case]
    if before is not None:
        path.write_bytes(before.encode())
    imgctl("node", "config", "containerd", str(path), "--write").check()
    judged = subprocess.run(
        [tool("containerd"), "--config", str(path), "config", "dump"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stderr
    value = tomllib.loads(judged.stdout)
    containerd = value["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]
    assert containerd["default_runtime_name"] == "nvidia"
    nvidia = containerd["runtimes"]["nvidia"]
    assert nvidia["runtime_type"] == "io.containerd.runc.v2"
    assert nvidia["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"
    assert "cri" not in value.get("disabled_plugins", [])
    if before and "# kept" in before:
        assert "# kept" in path.read_text()
        assert value["root"] == "/data/containerd"
    written = path.read_text()
    again = imgctl("node", "config", "containerd", str(path), "--write").check()
    assert "nothing to change" in again.stdout
    assert path.read_text() == written


@pytest.mark.parametrize("default", ["--default", "--no-default"])
def test_cri_starts_with_the_configuration(default: str, imgctl: Imgctl, tmp_path: Path) -> None:
    """`config dump` takes a file whose default runtime is not among its runtimes; CRI does not."""
    path, socket, port = tmp_path / "config.toml", tmp_path / "c.sock", free_port()
    path.write_text(
        f'version = 2\nroot = "{tmp_path}/root"\nstate = "{tmp_path}/state"\n'
        f'[grpc]\naddress = "{socket}"\n[metrics]\naddress = "127.0.0.1:{port}"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\npath = "{tmp_path}/opt"\n'
    )
    imgctl("node", "config", "containerd", str(path), "--write", default).check()
    with server([tool("containerd"), "--config", str(path)], port, tmp_path / "log"):
        plugins = run_quietly("ctr", "-a", str(socket), "plugins", "ls")
    (cri,) = [
        line.split() for line in plugins.splitlines() if "grpc.v1 " in line and " cri " in line
    ]
    assert cri[-1] == "ok", (tmp_path / "log").read_text()[-2000:]
