"""The commands that install on a Jetson what images need there, exactly as they are to be typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.device import Device
from builder.matrix import L4TRelease, read_data

Commands = tuple[str, ...]

_SOC_SUITES = {
    "tegra210": "t210",
    "tegra186": "t186",
    "tegra194": "t194",
    "tegra234": "t234",
    "tegra264": "som",
}
_UPDATE = "sudo apt-get update"
# From here on Ubuntu's Python is its package manager's, and pip has to be told to go past it.
_MANAGED_PYTHON = (24, 4)
LAST_DOCKER_FOR_OLD_KERNELS = "27.5.1"


def suite_of(release: L4TRelease) -> str | None:
    """NVIDIA's apt suite for a release (`r35.5`), None when it has none."""
    entry = _suite(release)
    return str(entry["suite"]) if entry else None


def jetpack_source(release: L4TRelease, device: Device) -> Commands:
    """Set up NVIDIA's apt source for a release that has a suite."""
    data, entry = read_data("apt.yaml"), _suite(release) or {}
    trees = ["common"]
    if (soc := _SOC_SUITES.get(device.soc)) in entry.get("soc", ()):
        trees.append(str(soc))
    keyring, place, suite = data["keyring"], data["list"], entry.get("suite", "")
    lines = [
        f"deb [signed-by={keyring}] https://{data['host']}/{tree} {suite} main" for tree in trees
    ]
    return (
        f"sudo curl -fsSLo {keyring} {data['key']['url']}",
        f"echo '{data['key']['sha256']}  {keyring}' | sha256sum -c",
        *(f"echo '{line}' | sudo tee {'-a ' if number else ''}{place}"
          for number, line in enumerate(lines)),
        _UPDATE,
    )  # fmt: skip


def jetpack() -> Commands:
    """Install JetPack, where its apt source is set up."""
    return (_UPDATE, "sudo apt-get install -y nvidia-jetpack")


def toolkit(*, newest: bool) -> Commands:
    """Install the NVIDIA container toolkit: JetPack's own, or the newest from NVIDIA's source."""
    install = (_UPDATE, "sudo apt-get install -y nvidia-container-toolkit")
    if not newest:
        return install
    source = read_data("apt.yaml")["toolkit"]
    keyring, place = source["keyring"], source["list"]
    return (
        f"curl -fsSL {source['key']} | sudo gpg --dearmor --yes -o {keyring}",
        f"echo 'deb [signed-by={keyring}] {source['url']} /' | sudo tee {place}",
        *install,
    )


def jetson_stats(release: L4TRelease | None) -> Commands:
    """Install jtop, which shows what the GPU does."""
    ubuntu = tuple(int(part) for part in release.ubuntu.split(".")) if release else ()
    managed = "--break-system-packages " if ubuntu >= _MANAGED_PYTHON else ""
    return (
        "sudo apt-get install -y python3-pip python3-dev",
        f"sudo -H pip3 install {managed}-U jetson-stats",
        "sudo systemctl restart jtop.service",
    )


def older_docker(packages: Mapping[str, str]) -> Commands:
    """Go back to the last Docker that runs without the kernel's iptable_raw."""
    hold = "sudo apt-mark hold docker-ce docker-ce-cli"
    if "docker-ce" in packages:
        version = f"5:{LAST_DOCKER_FOR_OLD_KERNELS}*"
        return (
            "sudo apt-get install -y --allow-downgrades"
            f" 'docker-ce={version}' 'docker-ce-cli={version}'",
            hold,
        )
    return (
        "sudo apt-get remove -y docker.io",
        "curl -fsSL https://get.docker.com -o get-docker.sh",
        f"sudo sh get-docker.sh --version {LAST_DOCKER_FOR_OLD_KERNELS}",
        hold,
    )


def _suite(release: L4TRelease) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = read_data("apt.yaml")["suites"].get(
        f"{release.line[0]}.{release.line[1]}"
    )
    return found
