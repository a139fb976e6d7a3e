"""How QEMU gets onto a machine, said the same way by builds that fail and by the doctor."""

from __future__ import annotations

_BINFMT = "docker run --privileged --rm tonistiigi/binfmt"

INSTALL = f"{_BINFMT} --install arm64"
INSTALL_BY_APT = "sudo apt-get install qemu-user-static, which also lasts over reboots"


def install_release(version: str) -> str:
    """The command that takes a certain release of QEMU instead of the one that is there."""
    return f"{_BINFMT}:qemu-{version} --install arm64"


# Where one release crashes (ldconfig in Ubuntu images above all), another of these does not.
OTHER_RELEASES = ("v8.1.5", "v9.2.2", "v7.0.0-28")
PINNED = tuple(install_release(version) for version in OTHER_RELEASES)
