"""What is said of a device: each thing looked at, each image, and the whole as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from builder.device import Device
from builder.matrix import L4TRelease
from deploy import node_containerd, node_docker
from deploy.node_facts import NodeFacts

State = Literal["ok", "warning", "failed"]
TOOLKIT_PACKAGES = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "nvidia-container-runtime",
)


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
    facts: NodeFacts = field(default_factory=NodeFacts)

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
            **_described(self.facts),
            "checks": [check.to_json() for check in self.checks],
            "images": [image.to_json() for image in self.images],
        }


def _described(facts: NodeFacts) -> dict[str, Any]:
    """What was found, for programs: versions (None: not there), default runtimes, room in bytes."""
    packages = facts.packages
    toolkit = next((packages[item] for item in TOOLKIT_PACKAGES if item in packages), None)
    dump = facts.config_dump or facts.config_toml
    return {
        "versions": {
            "toolkit": toolkit,
            "docker": docker_version(facts) or None,
            "containerd": containerd_version(facts) or None,
            "jetson-stats": facts.jtop or None,
            "edgecore": facts.edgecore or None,
        },
        "default_runtime": {
            "docker": node_docker.default_runtime(facts.daemon_json) if has_docker(facts) else None,
            "containerd": node_containerd.default_runtime(dump) if has_containerd(facts) else None,
        },
        "disk": {
            "path": facts.disk_path or None, "free": facts.disk_free, "size": facts.disk_size,
        },
    }  # fmt: skip


def has_docker(facts: NodeFacts) -> bool:
    """Whether Docker is installed."""
    return bool(facts.docker) or bool({"docker.io", "docker-ce"} & set(facts.packages))


def has_containerd(facts: NodeFacts) -> bool:
    """Whether containerd is installed."""
    return bool(facts.containerd) or bool({"containerd", "containerd.io"} & set(facts.packages))


def docker_version(facts: NodeFacts) -> str:
    """What the daemon says, else its package; empty when neither is known."""
    packages = facts.packages
    return facts.docker or packages.get("docker-ce") or packages.get("docker.io", "")


def containerd_version(facts: NodeFacts) -> str:
    """What the program says, else its package; empty when neither is known."""
    packages = facts.packages
    return facts.containerd or packages.get("containerd.io") or packages.get("containerd", "")
