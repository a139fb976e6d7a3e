"""Whether a device runs our images, what stands in the way, and the commands that set it right.

Versions are those of the facts: the nvidia-container-toolkit finds a Jetson's GPU under the device
plugin since 1.11.0, Orin since 1.14.0, Thor since 1.18.0; Docker 28 wants a kernel module that
JetPack has since 6.2.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from builder.bases import BaseImage, check_host, resolve
from builder.definition import ImageDefinition
from builder.device import Device, identify
from builder.matrix import L4TRelease, Matrix, read_data
from builder.recipe import find
from deploy.node_containerd import edit_config_toml
from deploy.node_docker import edit_daemon_json
from deploy.node_facts import NodeFacts
from deploy.node_files import RuntimeWish
from registry.errors import BadInput, ImgctlError, Refused

State = Literal["ok", "warning", "failed"]
Version = tuple[int, ...]

_TOOLKIT = ("nvidia-container-toolkit", "nvidia-container-toolkit-base", "nvidia-container-runtime")
_ROOM = 4 << 30  # bytes beyond the base: the unpacked layers and what they are unpacked from
_SOC_SUITES = {
    "tegra210": "t210",
    "tegra186": "t186",
    "tegra194": "t194",
    "tegra234": "t234",
    "tegra264": "som",
}


@dataclass(frozen=True)
class NodeCheck:
    """One thing looked at. fix: commands to be run on the device, in order."""

    name: str
    state: State
    what: str
    fix: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"name": self.name, "state": self.state, "what": self.what, "fix": list(self.fix)}


@dataclass(frozen=True)
class ImageCheck:
    """Whether an image of the catalogue runs on the device. base: the reference it is built on.

    why: what stands in the way; empty when it runs. build: the command that builds it.
    """

    image: str
    runs: bool
    base: str = ""
    why: str = ""
    build: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "image": self.image,
            "runs": self.runs,
            "base": self.base,
            "why": self.why,
            "build": self.build,
        }


@dataclass(frozen=True)
class NodeReport:
    """What was found. device: None when it is no Jetson, or does not say what it is."""

    device: Device | None
    release: L4TRelease | None
    checks: tuple[NodeCheck, ...]
    images: tuple[ImageCheck, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing failed and at least one image runs."""
        failed = any(check.state == "failed" for check in self.checks)
        return not failed and any(image.runs for image in self.images)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        device = self.device
        return {
            "ready": self.ready,
            "l4t": device.l4t if device else None,
            "jetpack": self.release.jetpack if self.release else None,
            "module": device.module if device else None,
            "model": device.model if device else "",
            "checks": [check.to_json() for check in self.checks],
            "images": [image.to_json() for image in self.images],
        }


def check_node(
    facts: NodeFacts, matrix: Matrix, definitions: Sequence[ImageDefinition], *, kubeedge: bool
) -> NodeReport:
    """Look at a device. kubeedge: it is an edge node, whose default runtime must be nvidia."""
    try:
        core = facts.packages.get("nvidia-l4t-core", "")
        device = identify(matrix, facts.release, core, facts.compatible, facts.model)
    except ImgctlError as error:
        no_jetson = NodeCheck("L4T", "failed", f"{error.what}: {error.why}")
        return NodeReport(None, None, (no_jetson,), ())
    release = _release(matrix, device)
    checks = [_l4t(matrix, device, release), _module(matrix, device, release)]
    if release is not None:
        checks += [_apt(facts, release, device), _jetpack(facts, release), _toolkit(facts, release)]
    checks += [*_runtimes(facts, release, kubeedge=kubeedge), _disk(facts, matrix, release)]
    checks.append(_jtop(facts))
    images = tuple(_image(matrix, release, item) for item in definitions) if release else ()
    return NodeReport(device, release, tuple(checks), images)


def _release(matrix: Matrix, device: Device) -> L4TRelease | None:
    return next((item for item in matrix.releases if item.version == device.l4t), None)


def _l4t(matrix: Matrix, device: Device, release: L4TRelease | None) -> NodeCheck:
    told = f"r{device.l4t}, from {device.read_from}"
    if release is None:
        last = matrix.releases[-1].name
        return NodeCheck(
            "L4T", "failed", f"{told}: the matrix does not know it ({last} is the last)"
        )
    return NodeCheck("L4T", "ok", f"{told}; JetPack {release.jetpack}, CUDA {release.cuda}")


def _module(matrix: Matrix, device: Device, release: L4TRelease | None) -> NodeCheck:
    if device.module is None:
        what = f"the device tree does not tell which: {device.model or 'it has no model'}"
        return NodeCheck("module", "warning", what)
    name = matrix.module(device.module).names[0]
    if release is not None and device.module not in release.modules:
        return NodeCheck("module", "warning", f"{name} is not among those of {release.name}")
    return NodeCheck("module", "ok", name)


def _apt(facts: NodeFacts, release: L4TRelease, device: Device) -> NodeCheck:
    data = read_data("apt.yaml")
    entry = data["suites"].get(f"{release.line[0]}.{release.line[1]}")
    if entry is None:
        what = f"no suite of NVIDIA's is known for {release.name}"
        return NodeCheck("apt source", "warning", what)
    suite = str(entry["suite"])
    if any(f" {suite} " in f"{line} " for line in facts.apt):
        return NodeCheck("apt source", "ok", f"suite {suite}")
    trees = ["common"]
    if (soc := _SOC_SUITES.get(device.soc)) in entry["soc"]:
        trees.append(str(soc))
    keyring, place = data["keyring"], data["list"]
    lines = [
        f"deb [signed-by={keyring}] https://{data['host']}/{tree} {suite} main" for tree in trees
    ]
    others = ", ".join(facts.apt) or "none is set"
    return NodeCheck(
        "apt source",
        "warning",
        f"none for {release.name} ({others}): packages of another release would not fit its driver",
        (
            f"sudo curl -fsSLo {keyring} {data['key']['url']}",
            f"echo '{data['key']['sha256']}  {keyring}' | sha256sum -c",
            *(f"echo '{line}' | sudo tee {'-a ' if number else ''}{place}"
              for number, line in enumerate(lines)),
            "sudo apt-get update",
        ),
    )  # fmt: skip


def _jetpack(facts: NodeFacts, release: L4TRelease) -> NodeCheck:
    installed = facts.packages.get("nvidia-jetpack", "")
    if installed:
        return NodeCheck("JetPack", "ok", f"nvidia-jetpack {installed}")
    install = ("sudo apt-get update", "sudo apt-get install -y nvidia-jetpack")
    if release.major <= 32:
        what = "nvidia-jetpack is not installed: on r32 CUDA comes into containers from the host"
        return NodeCheck("JetPack", "failed", what, install)
    what = "nvidia-jetpack is not installed; images bring CUDA themselves, the host needs none"
    return NodeCheck("JetPack", "ok", what)


def _toolkit(facts: NodeFacts, release: L4TRelease) -> NodeCheck:
    name = next((item for item in _TOOLKIT if item in facts.packages), "")
    install = ("sudo apt-get update", "sudo apt-get install -y nvidia-container-toolkit")
    if not name:
        what = "the NVIDIA container toolkit is not installed: containers would see no GPU"
        return NodeCheck("container toolkit", "failed", what, install)
    least, why = _least_toolkit(release)
    version = facts.packages[name]
    if name != "nvidia-container-runtime" and numbers(version) < least:
        wanted = ".".join(map(str, least))
        what = f"{name} {version}: {why} since {wanted}"
        return NodeCheck("container toolkit", "warning", what, install)
    return NodeCheck("container toolkit", "ok", f"{name} {version}")


def _least_toolkit(release: L4TRelease) -> tuple[Version, str]:
    if release.major >= 38:
        return (1, 18, 0), "Thor's GPU is found"
    if release.major >= 36:
        return (1, 14, 0), "Orin's GPU is told from a discrete one"
    return (1, 11, 0), "the device plugin works with it"


def _runtimes(facts: NodeFacts, release: L4TRelease | None, *, kubeedge: bool) -> list[NodeCheck]:
    found = []
    wish = RuntimeWish(default=kubeedge)
    if facts.docker or "docker.io" in facts.packages or "docker-ce" in facts.packages:
        found.append(_docker(facts, release, wish))
    if facts.containerd or "containerd" in facts.packages or "containerd.io" in facts.packages:
        found.append(_containerd(facts, wish))
    if not found:
        fix = (
            ("sudo apt-get install -y containerd",)
            if kubeedge
            else ("sudo apt-get install -y docker.io",)
        )
        what = "neither Docker nor containerd is installed"
        return [NodeCheck("container runtime", "failed", what, fix)]
    return found


def _docker(facts: NodeFacts, release: L4TRelease | None, wish: RuntimeWish) -> NodeCheck:
    version = facts.docker or facts.packages.get("docker-ce") or facts.packages.get("docker.io", "")
    if release and numbers(version)[:1] >= (28,) and release.number < (36, 4, 4):
        what = f"{version}: 28 and later need iptable_raw, in JetPack's kernel since 6.2.1"
        fix = (
            "sudo apt-get install -y --allow-downgrades 'docker-ce*=5:27.5.1*'",
            "sudo apt-mark hold docker-ce docker-ce-cli",
        )
        return NodeCheck("Docker", "failed", what, fix)
    return _configured("Docker", "docker", version, facts.daemon_json, wish)


def _containerd(facts: NodeFacts, wish: RuntimeWish) -> NodeCheck:
    version = facts.containerd or facts.packages.get("containerd.io", "")
    return _configured("containerd", "containerd", version, facts.config_toml, wish)


def _configured(name: str, runtime: str, version: str, text: str, wish: RuntimeWish) -> NodeCheck:
    """Whether `imgctl node config` would change anything."""
    default = "" if wish.default else " --no-default"
    fix = (
        f"sudo imgctl node config {runtime} --write{default}",
        f"sudo systemctl restart {runtime}",
    )
    edit = edit_daemon_json if runtime == "docker" else edit_config_toml
    try:
        change = edit(text, wish)
    except BadInput as error:
        return NodeCheck(name, "failed", f"{version}: {error.what} {error.why}".strip())
    if change.changed:
        what = "; ".join(change.notes) or "the nvidia runtime is not set up"
        return NodeCheck(name, "failed", f"{version}: {what}", fix)
    told = "nvidia is the default runtime" if wish.default else "the nvidia runtime is set up"
    return NodeCheck(name, "ok", f"{version}: {told}")


def _disk(facts: NodeFacts, matrix: Matrix, release: L4TRelease | None) -> NodeCheck:
    if not facts.disk_path:
        return NodeCheck("disk", "warning", "how much is free could not be told")
    free = f"{facts.disk_free / 1e9:.1f} GB free on {facts.disk_path}"
    needed = _ROOM + _largest_base(matrix, release)
    if facts.disk_free < needed:
        what = f"{free}; the largest base for this release wants {needed / 1e9:.0f} GB"
        return NodeCheck(
            "disk", "warning", what, ("docker system prune", "sudo crictl rmi --prune")
        )
    used = 1 - facts.disk_free / facts.disk_size if facts.disk_size else 0.0
    if used > 0.8:
        what = f"{free}, {used:.0%} used: KubeEdge's prepull and image collection act from 80 % on"
        return NodeCheck("disk", "warning", what)
    return NodeCheck("disk", "ok", free)


def _largest_base(matrix: Matrix, release: L4TRelease | None) -> int:
    """Bytes that the largest base known for a release takes unpacked; 0 when none is known."""
    sizes = [
        tag.disk_mb
        for family in matrix.families
        for tag in family.tags
        if release is not None and tag.l4t == release.version and tag.disk_mb
    ]
    return 1_000_000 * max(sizes, default=0)


def _jtop(facts: NodeFacts) -> NodeCheck:
    if facts.jtop:
        return NodeCheck("jtop", "ok", f"jetson-stats {facts.jtop}")
    fix = ("sudo pip3 install -U jetson-stats", "sudo systemctl restart jtop.service")
    return NodeCheck("jtop", "ok", "not installed; it shows what the GPU does", fix)


def _image(matrix: Matrix, release: L4TRelease, definition: ImageDefinition) -> ImageCheck:
    """The first base family on which an image can be built for the release and runs there."""
    reasons = []
    for family in definition.bases:
        try:
            base: BaseImage = resolve(matrix, release, family, definition.framework)
            refusal = check_host(matrix, base, release)
            if refusal is not None:
                raise refusal
            find(matrix, release, definition.framework, base)
        except Refused as error:
            reasons.append(f"{error.what}: {error.why}" if error.why else error.what)
            continue
        first = family == definition.bases[0]
        chosen = "" if first or not reasons else f" --base {family}"
        build = f"imgctl build {definition.name} --l4t {release.name}{chosen}"
        return ImageCheck(definition.name, True, str(base.reference), build=build)
    return ImageCheck(definition.name, False, why=reasons[0] if reasons else "it names no base")


def numbers(version: str) -> Version:
    """The leading numbers of a package's version: `5:27.5.1-1~ubuntu` is (27, 5, 1)."""
    match = re.match(r"(?:\d+:)?v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in match[1].split(".")) if match else ()
