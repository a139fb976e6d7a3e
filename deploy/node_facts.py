"""What a device says of itself, as collect.sh prints it: sections of plain text.

The script is POSIX sh, so that it runs where imgctl does not; its output can be kept in a file and
looked at anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.node_files import PlainText
from registry.errors import BadInput

SCRIPT = Path(__file__).parent / "data" / "collect.sh"
_SECTION = re.compile(r"^== ([a-z.]+)$", re.MULTILINE)
_EDGECORE = re.compile(r"^\s*(\w+):\s*[\"']?([^\s\"']+)", re.MULTILINE)
_DF = re.compile(r"\s(\d+)\s+\d+\s+(\d+)\s+\d+%\s+(/\S*)$")


@dataclass(frozen=True)
class NodeFacts:
    """A device, as far as running images on it goes. Texts are empty for what is not there.

    release: first line of /etc/nv_tegra_release. packages: installed ones with their versions.
    apt: NVIDIA's source lines. docker, containerd: versions. config_dump: containerd's whole
    configuration, imported files and defaults in it. disk_free, disk_size, memory: bytes;
    disk_path: where images are kept; root_used: how full / is, from 0 to 1. edgecore_config: what
    KubeEdge's edgecore.yaml says of the container runtime.
    """

    release: str = ""
    model: str = ""
    compatible: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict, hash=False)
    apt: tuple[str, ...] = ()
    docker: str = ""
    daemon_json: str = ""
    containerd: str = ""
    config_toml: str = ""
    config_dump: str = ""
    disk_path: str = ""
    disk_free: int = 0
    disk_size: int = 0
    root_used: float = 0.0
    memory: int = 0
    jtop: str = ""
    edgecore: str = ""
    edgecore_config: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse_facts(text: str, name: str = "the facts") -> NodeFacts:
    """Read what collect.sh printed; raises BadInput when it is something else, or cut short."""
    found = _sections(PlainText.of(text).text)
    hint = "collect them on the device: imgctl node check --script | ssh DEVICE sh > facts.txt"
    if "release" not in found:
        raise BadInput(f"{name} are no facts of a device", "there is no section `release`", hint)
    if "end" not in found:
        raise BadInput(f"{name} are cut short", "the section `end` is missing", hint)
    size, free, path = _disk(found.get("disk", ""))
    root_size, root_free, _ = _disk(found.get("disk.root", ""))
    return NodeFacts(
        release=found["release"].strip(),
        model=found.get("model", "").strip(),
        compatible=tuple(found.get("compatible", "").split()),
        packages=_packages(found.get("packages", "")),
        apt=tuple(line for line in found.get("apt", "").splitlines() if line.startswith("deb")),
        docker=found.get("docker", "").strip(),
        daemon_json=found.get("daemon.json", ""),
        containerd=_version(found.get("containerd", "")),
        config_toml=found.get("config.toml", ""),
        config_dump=found.get("config.dump", ""),
        disk_path=path,
        disk_free=free,
        disk_size=size,
        root_used=1 - root_free / root_size if root_size else 0.0,
        memory=1024 * int(_number(found.get("memory", ""))),
        jtop=found.get("jtop", "").strip(),
        edgecore=found.get("edgecore", "").strip(),
        edgecore_config=dict(_EDGECORE.findall(found.get("edgecore.yaml", ""))),
    )


def _sections(text: str) -> dict[str, str]:
    parts = _SECTION.split(text)
    return {name: body.strip("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _packages(text: str) -> dict[str, str]:
    rows = (line.split() for line in text.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "installed"}


def _disk(text: str) -> tuple[int, int, str]:
    match = _DF.search(text.strip())
    return (1024 * int(match[1]), 1024 * int(match[2]), match[3]) if match else (0, 0, "")


def _version(text: str) -> str:
    match = re.search(r"\bv?(\d+\.\d+\.\d+\S*)", text)
    return match[1] if match else ""


def _number(text: str) -> str:
    match = re.search(r"\d+", text)
    return match[0] if match else "0"
