"""Whether a device runs our images, what stands in the way, and the commands that set it right.

Versions are those of the facts: the nvidia-container-toolkit finds a Jetson's GPU under the device
plugin since 1.11.0, Orin since 1.14.0, Thor since 1.18.0; Docker 28 wants a kernel module that
JetPack has since 6.2.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from builder.bases import BaseImage, check_host, resolve
from builder.definition import ImageDefinition
from builder.device import Device, identify
from builder.matrix import L4TRelease, Matrix, number
from builder.recipe import find
from deploy import node_containerd, node_docker, node_install
from deploy.device_plugin import least_toolkit
from deploy.node_facts import NodeFacts
from deploy.node_files import RuntimeWish
from deploy.node_report import (
    TOOLKIT_PACKAGES,
    ImageCheck,
    NodeCheck,
    NodeReport,
    containerd_version,
    docker_version,
    has_containerd,
    has_docker,
)
from registry.errors import BadInput, ImgctlError, Refused

Version = tuple[int, ...]

# From here on the toolkit mounts CUDA and its like from an r32 host only on request.
_CSV_BY_REQUEST = (1, 9)
_FULL = 0.8
_ROOM = 4 << 30  # bytes beyond the base: the unpacked layers and what they are unpacked from


def check_node(
    facts: NodeFacts, matrix: Matrix, definitions: Sequence[ImageDefinition], *, kubeedge: bool
) -> NodeReport:
    """Look at a device. kubeedge: it is an edge node, whose default runtime must be nvidia."""
    try:
        core = facts.packages.get("nvidia-l4t-core", "")
        device = identify(matrix, facts.release, core, facts.compatible, facts.model)
    except ImgctlError as error:
        no_jetson = NodeCheck("L4T", "failed", f"{error.what}: {error.why}")
        return NodeReport(None, None, (no_jetson,), (), facts)
    release = _release(matrix, device)
    checks = [_l4t(matrix, device, release), _module(matrix, device, release)]
    if release is not None:
        checks += [_apt(facts, release, device), _jetpack(facts, release), _toolkit(facts, release)]
    checks += _runtimes(facts, release, kubeedge=kubeedge)
    checks += _cgroup_driver(facts) if kubeedge else []
    checks += [_disk(facts, matrix, release, kubeedge=kubeedge), _jtop(facts, release)]
    images = tuple(_image(matrix, release, item) for item in definitions) if release else ()
    return NodeReport(device, release, tuple(checks), images, facts)


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
    suite = node_install.suite_of(release)
    if suite is None:
        what = f"no suite of NVIDIA's is known for {release.name}"
        return NodeCheck("apt source", "warning", what)
    if any(f" {suite} " in f"{line} " for line in facts.apt):
        return NodeCheck("apt source", "ok", f"suite {suite}")
    others = ", ".join(facts.apt) or "none is set"
    what = (
        f"none for {release.name} ({others}): packages of another release would not fit its driver"
    )
    return NodeCheck("apt source", "warning", what, node_install.jetpack_source(release, device))


def _jetpack(facts: NodeFacts, release: L4TRelease) -> NodeCheck:
    installed = facts.packages.get("nvidia-jetpack", "")
    if installed:
        return NodeCheck("JetPack", "ok", f"nvidia-jetpack {installed}")
    install = node_install.jetpack()
    if release.major <= 32:
        what = "nvidia-jetpack is not installed: on r32 CUDA comes into containers from the host"
        return NodeCheck("JetPack", "failed", what, install)
    what = "nvidia-jetpack is not installed; images bring CUDA themselves, the host needs none"
    return NodeCheck("JetPack", "ok", what, install)


def _toolkit(facts: NodeFacts, release: L4TRelease) -> NodeCheck:
    name = next((item for item in TOOLKIT_PACKAGES if item in facts.packages), "")
    # What JetPack 4 brings is older than any that the device plugin works with.
    install = node_install.toolkit(newest=bool(name) or release.major <= 32)
    if not name:
        what = "the NVIDIA container toolkit is not installed: containers would see no GPU"
        return NodeCheck("container toolkit", "failed", what, install)
    least, why = least_toolkit(release.major)
    version = facts.packages[name]
    if name != "nvidia-container-runtime" and numbers(version) < least:
        wanted = ".".join(map(str, least))
        what = f"{name} {version}: {why} since {wanted}, which JetPack's own apt source may lack"
        return NodeCheck("container toolkit", "warning", what, install)
    told = f"{name} {version}"
    if release.major <= 32 and numbers(version) >= _CSV_BY_REQUEST and name != TOOLKIT_PACKAGES[-1]:
        told += "; images must ask for the host's CUDA (NVIDIA_REQUIRE_JETPACK), as ours do"
    return NodeCheck("container toolkit", "ok", told)


def _runtimes(facts: NodeFacts, release: L4TRelease | None, *, kubeedge: bool) -> list[NodeCheck]:
    """Docker and containerd, so far as installed; what nobody uses cannot fail the device."""
    found = {}
    wish = RuntimeWish(default=kubeedge)
    if has_docker(facts):
        found["docker"] = _docker(facts, release, wish)
    if has_containerd(facts):
        found["containerd"] = _containerd(facts, wish)
    if not found:
        package = "containerd" if kubeedge else "docker.io"
        what = "neither Docker nor containerd is installed"
        return [
            NodeCheck("container runtime", "failed", what, (f"sudo apt-get install -y {package}",))
        ]
    needed = _needed_runtime(facts, found, kubeedge=kubeedge)
    return [
        check if name == needed or check.state == "ok" else _spared(check, name, needed)
        for name, check in found.items()
    ]


def _needed_runtime(facts: NodeFacts, found: dict[str, NodeCheck], *, kubeedge: bool) -> str:
    """The runtime that containers are run by: edged's, or on its own the one that is set up."""
    if not kubeedge:
        return next(
            (name for name, check in found.items() if check.state == "ok"), next(iter(found))
        )
    endpoint = " ".join(
        value for key, value in facts.edgecore_config.items() if key.endswith("RuntimeEndpoint")
    )
    if "docker" in endpoint and "docker" in found:
        return "docker"
    return "containerd" if "containerd" in found else "docker"


def _spared(check: NodeCheck, name: str, needed: str) -> NodeCheck:
    return replace(
        check, state="warning", what=f"{check.what} (not needed while {needed} runs pods)"
    )


def _docker(facts: NodeFacts, release: L4TRelease | None, wish: RuntimeWish) -> NodeCheck:
    version = docker_version(facts)
    if release and numbers(version)[:1] >= (28,) and release.number < (36, 4, 4):
        what = f"{version}: 28 and later need iptable_raw, in JetPack's kernel since 6.2.1"
        return NodeCheck("Docker", "failed", what, node_install.older_docker(facts.packages))
    return _configured("Docker", "docker", version, facts.daemon_json, wish)


def _containerd(facts: NodeFacts, wish: RuntimeWish) -> NodeCheck:
    version = containerd_version(facts)
    if numbers(version)[:1] == (1,) and node_containerd.stated_version(facts.config_toml) == 3:
        what = f"{version}: config.toml is of version 3, which only containerd 2 reads"
        fix = (
            "containerd config default | sudo tee /etc/containerd/config.toml",
            *_configure("containerd", wish),
        )
        return NodeCheck("containerd", "failed", what, fix)
    text = facts.config_dump or facts.config_toml
    return _configured("containerd", "containerd", version, text, wish)


def _configure(runtime: str, wish: RuntimeWish) -> tuple[str, ...]:
    default = "" if wish.default else " --no-default"
    return (
        f"sudo imgctl node config {runtime} --write{default}",
        f"sudo systemctl restart {runtime}",
    )


def _configured(name: str, runtime: str, version: str, text: str, wish: RuntimeWish) -> NodeCheck:
    """Whether `imgctl node config` would change anything."""
    docker = runtime == "docker"
    edit = node_docker.edit_daemon_json if docker else node_containerd.edit_config_toml
    shown = version or "version not known"
    try:
        change = edit(text, wish)
    except BadInput as error:
        return NodeCheck(name, "failed", f"{shown}: {error.what} {error.why}".strip())
    if change.notes or not text.strip():
        keys = ", ".join(note.partition(":")[0] for note in change.notes)
        what = f"{shown}: nvidia is not set up{' as the default' if wish.default else ''}: {keys}"
        return NodeCheck(name, "failed", what, _configure(runtime, wish))
    told = "nvidia is the default runtime" if wish.default else "the nvidia runtime is set up"
    return NodeCheck(name, "ok", f"{shown}: {told}")


def _cgroup_driver(facts: NodeFacts) -> list[NodeCheck]:
    """Whether edgecore and containerd agree on who makes cgroups; nothing where that is unknown."""
    wanted = facts.edgecore_config.get("cgroupDriver", "")
    systemd = node_containerd.systemd_cgroup(facts.config_dump or facts.config_toml)
    if wanted not in ("systemd", "cgroupfs") or systemd is None:
        return []
    has = "systemd" if systemd else "cgroupfs"
    if has == wanted:
        return [NodeCheck("cgroup driver", "ok", f"{wanted}, in edgecore and in containerd")]
    flag = "--systemd-cgroup" if wanted == "systemd" else "--no-systemd-cgroup"
    fix = (
        f"sudo imgctl node config containerd {flag} --write",
        "sudo systemctl restart containerd",
    )
    what = f"edgecore has {wanted}, containerd {has}: pods would not start"
    return [NodeCheck("cgroup driver", "failed", what, fix)]


def _disk(
    facts: NodeFacts, matrix: Matrix, release: L4TRelease | None, *, kubeedge: bool
) -> NodeCheck:
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
    if used > _FULL:
        what = f"{free}, {used:.0%} used: KubeEdge's prepull and image collection act from 80 % on"
        return NodeCheck("disk", "warning", what)
    if kubeedge and facts.root_used > _FULL:
        what = f"{free}, but / is {facts.root_used:.0%} used: KubeEdge's prepull looks there alone"
        return NodeCheck("disk", "warning", what, ("imgctl prepull --no-disk-check …",))
    return NodeCheck("disk", "ok", free)


def _largest_base(matrix: Matrix, release: L4TRelease | None) -> int:
    """Bytes that the largest base known for a release's line takes unpacked; 0 when none is."""
    sizes = [
        tag.disk_mb
        for family in matrix.families
        for tag in family.tags
        if release and tag.disk_mb and tag.l4t and number(tag.l4t)[0] == release.major
    ]
    return 1_000_000 * max(sizes, default=0)


def _jtop(facts: NodeFacts, release: L4TRelease | None) -> NodeCheck:
    if facts.jtop:
        return NodeCheck("jtop", "ok", f"jetson-stats {facts.jtop}")
    what = "not installed; it shows what the GPU does"
    return NodeCheck("jtop", "ok", what, node_install.jetson_stats(release))


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
