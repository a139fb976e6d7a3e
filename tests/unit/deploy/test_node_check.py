"""Devices looked at from the facts collected on them: what runs there, and what to set right."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from builder.definition import catalogue
from builder.matrix import Matrix
from deploy.node_check import check_node, numbers
from deploy.node_facts import SCRIPT, parse_facts
from deploy.node_report import NodeReport
from registry.errors import BadInput

ROOT = Path(__file__).parents[3]
MATRIX = Matrix.load()

DAEMON = """{
    "default-runtime": "nvidia",
    "runtimes": {"nvidia": {"args": [], "path": "/usr/bin/nvidia-container-runtime"}}
}"""
ORIN = {
    "release": "# R35 (release), REVISION: 2.1, GCID: 32413640, BOARD: t186ref, EABI: aarch64",
    "model": "Jetson AGX Orin Developer Kit",
    "compatible": "nvidia,p3737-0000+p3701-0000\nnvidia,p3701-0000\nnvidia,tegra234",
    "packages": "nvidia-jetpack 5.1-b147 installed\nnvidia-container-toolkit 1.13.0-1 installed\n"
    "docker.io 20.10.12 installed",
    "apt": "deb https://repo.download.nvidia.com/jetson/common r35.2 main",
    "docker": "20.10.12",
    "daemon.json": DAEMON,
    "disk": "/dev/nvme0n1p1 479000000 40000000 400000000 10% /",
    "memory": "MemTotal: 30000000 kB",
    "jtop": "4.2.1",
}


def text(**changes: str) -> str:
    sections = {**ORIN, **{key.replace("_", "."): value for key, value in changes.items()}}
    return "".join(f"== {name}\n{body}\n" for name, body in sections.items()) + "== end\n"


def looked_at(**changes: str) -> NodeReport:
    """An edge node."""
    facts = parse_facts(text(**changes))
    return check_node(facts, MATRIX, catalogue([ROOT / "images"]), kubeedge=True)


def looked_at_alone(**changes: str) -> NodeReport:
    """A device that is no edge node."""
    facts = parse_facts(text(**changes))
    return check_node(facts, MATRIX, catalogue([ROOT / "images"]), kubeedge=False)


def found(report: NodeReport, name: str) -> tuple[str, str, tuple[str, ...]]:
    (check,) = [item for item in report.checks if item.name == name]
    return check.state, check.what, check.fix


def test_a_device_that_is_set_up_runs_everything() -> None:
    report = looked_at()
    assert [check.name for check in report.checks if check.state != "ok"] == []
    assert report.ready
    images = {image.image: image for image in report.images}
    assert images["mnist"].base == "nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3"
    assert images["mnist"].build == "imgctl build mnist --l4t r35.2.1"


@pytest.mark.parametrize(
    ("changes", "release", "module", "base"),
    [
        (
            {"release": "# R32 (release), REVISION: 7.1, GCID: 1, BOARD: t210ref, EABI: aarch64",
             "model": "NVIDIA Jetson Nano Developer Kit",
             "compatible": "nvidia,p3449-0000-b00+p3448-0000-b00\nnvidia,tegra210",
             "apt": "deb https://repo.download.nvidia.com/jetson/common r32.7 main"},
            "r32.7.1", "nano", "nvcr.io/nvidia/l4t-pytorch:r32.7.1-pth1.10-py3",
        ),
        (
            {"release": "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, EABI: aarch64",
             "compatible": "nvidia,p3768-0000+p3767-0005\nnvidia,p3767-0005\nnvidia,tegra234"},
            "r36.4.3", "orin-nano", "",
        ),
        (
            {"release": "# R38 (release), REVISION: 2.0, GCID: 1, BOARD: generic, EABI: aarch64",
             "compatible": "nvidia,p3971-0080+p3834-0008\nnvidia,p3834-0008\nnvidia,tegra264"},
            "r38.2.0", "agx-thor", "",
        ),
    ],
)  # fmt: skip
def test_devices_are_told_apart(
    changes: dict[str, str], release: str, module: str, base: str
) -> None:
    report = looked_at(**changes)
    assert report.release is not None
    assert report.device is not None
    assert (report.release.name, report.device.module) == (release, module)
    mnist = next(image for image in report.images if image.image == "mnist")
    assert mnist.runs
    assert base in mnist.base
    assert f"--l4t {release}" in mnist.build


def test_the_apt_source_of_another_release_is_set_right_with_exact_commands() -> None:
    state, what, fix = found(looked_at(apt=""), "apt source")
    assert state == "warning"
    assert "none is set" in what
    assert any("jetson/common r35.2 main" in line for line in fix)
    assert any("jetson/t234 r35.2 main" in line for line in fix)
    assert any("sha256sum -c" in line for line in fix)


def test_without_the_toolkit_nothing_runs() -> None:
    report = looked_at(packages="docker.io 20.10.12 installed")
    state, _, fix = found(report, "container toolkit")
    assert state == "failed"
    assert fix[-1] == "sudo apt-get install -y nvidia-container-toolkit"
    assert not report.ready


def test_a_toolkit_too_old_for_the_release_is_told() -> None:
    new = {"release": "# R38 (release), REVISION: 2.0, GCID: 1", "compatible": "nvidia,tegra264"}
    state, what, _ = found(looked_at(**new), "container toolkit")
    assert state == "warning"
    assert "since 1.18.0" in what


def test_on_r32_cuda_must_be_on_the_host() -> None:
    old = {"release": "# R32 (release), REVISION: 7.1, GCID: 1", "compatible": "nvidia,tegra210",
           "packages": "nvidia-container-toolkit 1.11.0 installed"}  # fmt: skip
    state, what, fix = found(looked_at(**old), "JetPack")
    assert state == "failed"
    assert "comes into containers from the host" in what
    assert "nvidia-jetpack" in fix[-1]
    assert found(looked_at(packages="x 1 installed"), "JetPack")[0] == "ok"


def test_kubeedge_needs_nvidia_as_the_default_runtime() -> None:
    plain = DAEMON.replace('"default-runtime": "nvidia",', "")
    state, _, fix = found(looked_at(daemon_json=plain), "Docker")
    assert state == "failed"
    assert fix == ("sudo imgctl node config docker --write", "sudo systemctl restart docker")
    assert found(looked_at_alone(daemon_json=plain), "Docker")[0] == "ok"


def test_containerd_is_looked_at_too() -> None:
    report = looked_at(containerd="containerd github.com/containerd/containerd 1.7.12 abc")
    state, what, fix = found(report, "containerd")
    assert state == "failed"
    assert what.startswith("1.7.12")
    assert fix[0] == "sudo imgctl node config containerd --write"


SET_UP = """version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "nvidia"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]
BinaryName = "/usr/bin/nvidia-container-runtime"
SystemdCgroup = true
"""
CONTAINERD = "containerd github.com/containerd/containerd 1.7.12 abc"


def test_what_imported_files_set_counts() -> None:
    main = 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n'
    report = looked_at(containerd=CONTAINERD, config_toml=main, config_dump=SET_UP)
    assert found(report, "containerd")[0] == "ok"
    assert found(looked_at(containerd=CONTAINERD, config_toml=main), "containerd")[0] == "failed"


def test_a_runtime_that_runs_no_pods_does_not_fail_the_device() -> None:
    plain = DAEMON.replace('"default-runtime": "nvidia",', "")
    edge = looked_at(daemon_json=plain, containerd=CONTAINERD, config_toml=SET_UP)
    assert found(edge, "Docker")[0] == "warning"
    assert edge.ready
    alone = looked_at_alone(containerd=CONTAINERD)
    assert found(alone, "containerd")[0] == "warning"
    assert alone.ready
    by_docker = looked_at(
        containerd=CONTAINERD,
        edgecore_yaml="      containerRuntimeEndpoint: unix:///run/cri-dockerd.sock",
    )
    assert found(by_docker, "containerd")[0] == "warning"
    assert by_docker.ready


def test_edgecore_and_containerd_must_agree_on_the_cgroup_driver() -> None:
    given = {"containerd": CONTAINERD, "config_toml": SET_UP}
    agreed = looked_at(**given, edgecore_yaml="      cgroupDriver: systemd")
    assert found(agreed, "cgroup driver")[0] == "ok"
    report = looked_at(**given, edgecore_yaml="      cgroupDriver: cgroupfs")
    state, _, fix = found(report, "cgroup driver")
    assert state == "failed"
    assert "--no-systemd-cgroup" in fix[0]
    assert not [item for item in looked_at(**given).checks if item.name == "cgroup driver"]


def test_containerd_1_reads_no_file_of_version_3() -> None:
    report = looked_at(containerd=CONTAINERD, config_toml="version = 3\n")
    state, what, fix = found(report, "containerd")
    assert (state, fix[0].startswith("containerd config default")) == ("failed", True)
    assert "only containerd 2 reads" in what


def test_a_full_root_stops_kubeedges_prepull_wherever_images_are() -> None:
    full = "/dev/mmcblk0p1 14000000 13000000 1000000 93% /"
    state, what, _ = found(looked_at(disk_root=full), "disk")
    assert state == "warning"
    assert "/ is 93% used" in what
    assert found(looked_at_alone(disk_root=full), "disk")[0] == "ok"


def test_a_toolkit_too_old_comes_from_nvidias_own_source() -> None:
    nano = {"release": "# R32 (release), REVISION: 7.6, GCID: 1", "compatible": "nvidia,tegra210"}
    old = "nvidia-container-toolkit 1.7.0-1 installed\nnvidia-jetpack 4.6.6 installed"
    _, _, fix = found(looked_at(**nano, packages=old), "container toolkit")
    assert "libnvidia-container/gpgkey" in fix[0]
    new = old.replace("1.7.0", "1.14.0")
    state, what, _ = found(looked_at(**nano, packages=new), "container toolkit")
    assert state == "ok"
    assert "NVIDIA_REQUIRE_JETPACK" in what


def test_jetson_stats_goes_past_the_package_managers_python_on_ubuntu_24() -> None:
    thor = {"release": "# R38 (release), REVISION: 2.0, GCID: 1", "compatible": "nvidia,tegra264"}
    assert "--break-system-packages" in found(looked_at(**thor, jtop=""), "jtop")[2][1]
    fix = found(looked_at(jtop=""), "jtop")[2]
    assert fix[1:] == (
        "sudo -H pip3 install -U jetson-stats",
        "sudo systemctl restart jtop.service",
    )


def test_going_back_from_docker_28_depends_on_whose_it_is() -> None:
    assert "get.docker.com" in " ".join(found(looked_at(docker="28.0.1"), "Docker")[2])
    ours = looked_at(packages="docker-ce 5:28.0.4-1~ubuntu.22.04~jammy installed", docker="28.0.4")
    assert "'docker-ce=5:27.5.1*'" in found(ours, "Docker")[2][0]


def test_docker_28_wants_a_newer_kernel() -> None:
    assert found(looked_at(docker="28.0.1"), "Docker")[0] == "failed"
    new = "# R36 (release), REVISION: 4.4, GCID: 1"
    assert found(looked_at(docker="28.0.1", release=new), "Docker")[0] == "ok"


def test_no_runtime_at_all() -> None:
    report = looked_at(packages="nvidia-container-toolkit 1.13.0 installed", docker="")
    assert found(report, "container runtime")[0] == "failed"


def test_little_room_is_told() -> None:
    report = looked_at(disk="/dev/mmcblk0p1 14000000 13000000 1000000 93% /")
    state, what, _ = found(report, "disk")
    assert state == "warning"
    assert "1.0 GB free" in what
    assert report.ready


def test_a_release_that_is_not_known_builds_nothing() -> None:
    report = looked_at(release="# R99 (release), REVISION: 1.0, GCID: 1")
    assert found(report, "L4T")[0] == "failed"
    assert report.images == ()
    assert not report.ready


def test_what_is_no_jetson_is_told() -> None:
    report = looked_at(release="", compatible="", packages="")
    assert (report.device, report.ready) == (None, False)
    assert "not a Jetson" in report.checks[0].what


def test_a_broken_daemon_json_is_named() -> None:
    state, what, _ = found(looked_at(daemon_json='{"a": '), "Docker")
    assert state == "failed"
    assert "daemon.json" in what


@pytest.mark.parametrize("broken", ["", "hello", '{"l4t": "35.2.1"}'])
def test_what_are_no_facts_is_bad_input(broken: str) -> None:
    with pytest.raises(BadInput, match="no facts"):
        parse_facts(broken)


def test_facts_that_came_by_way_of_windows_are_read() -> None:
    assert parse_facts("\ufeff" + text().replace("\n", "\r\n")) == parse_facts(text())


def test_facts_cut_short_are_bad_input() -> None:
    with pytest.raises(BadInput, match="cut short"):
        parse_facts(text().replace("== end\n", ""))


def test_the_script_runs_anywhere_and_hides_what_looks_secret(tmp_path: Path) -> None:
    done = subprocess.run(["sh", str(SCRIPT)], capture_output=True, timeout=60, check=True)
    parse_facts(done.stdout.decode())
    script = SCRIPT.read_text()
    hidden = script[script.index("hidden() {") : script.index("\n}\n") + 3]
    given = (
        'password = "p1"\n  "auth": "p\\"2"\nidentityToken="p3"\nsecret = \'p4\'\ntoken: p5\n'
        'sandbox = "kept"\n"http-proxy": "http://me:p6@proxy:3128"\n'
    )
    shown = subprocess.run(["sh", "-c", f"{hidden}\nhidden"], input=given, text=True,
                           capture_output=True, timeout=30, check=True).stdout  # fmt: skip
    assert not any(f"p{number}" in shown for number in range(1, 7))
    assert 'sandbox = "kept"' in shown
    assert "HIDDEN@proxy:3128" in shown
    json_file = '{"log-opts": {"splunk-token": "p1", "splunk-url": "h"}, "debug": true}'
    shown = subprocess.run(["sh", "-c", f"{hidden}\nhidden"], input=json_file, text=True,
                           capture_output=True, timeout=30, check=True).stdout  # fmt: skip
    assert json.loads(shown)["log-opts"] == {"splunk-token": "HIDDEN", "splunk-url": "h"}


@pytest.mark.parametrize(
    ("version", "expected"),
    [("5:27.5.1-1~ubuntu.22.04~jammy", (27, 5, 1)), ("1.13.0-1", (1, 13, 0)), ("v2.0", (2, 0)),
     ("", ())],
)  # fmt: skip
def test_versions_of_packages(version: str, expected: tuple[int, ...]) -> None:
    assert numbers(version) == expected


def test_the_report_is_json() -> None:
    value = looked_at().to_json()
    assert (value["l4t"], value["jetpack"], value["module"]) == ("35.2.1", "5.1", "agx-orin")
    assert all(set(item) == {"name", "state", "what", "fix"} for item in value["checks"])
    assert value["versions"] == {
        "toolkit": "1.13.0-1", "docker": "20.10.12", "containerd": None, "jetson-stats": "4.2.1",
        "edgecore": None,
    }  # fmt: skip
    assert value["default_runtime"] == {"docker": "nvidia", "containerd": None}
    assert value["disk"]["free"] == 400_000_000 * 1024
    other = looked_at(containerd=CONTAINERD, config_dump=SET_UP, daemon_json="{").to_json()
    assert other["default_runtime"] == {"docker": None, "containerd": "nvidia"}
    plain = looked_at(containerd=CONTAINERD, daemon_json="").to_json()
    assert plain["default_runtime"] == {"docker": "runc", "containerd": "runc"}
