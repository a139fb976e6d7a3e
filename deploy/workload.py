"""What is to run: one image by digest with everything a manifest says about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.names import (
    check_environment_name,
    check_label,
    check_label_name,
    check_quantity,
    check_subdomain,
    label_value,
)
from registry.errors import BadInput, Refused
from registry.oci import Platform
from registry.reference import Reference

KUBEEDGE = "kubeedge"
KUBELET = "kubelet"
TARGETS = (KUBEEDGE, KUBELET)
PULL_POLICIES = ("IfNotPresent", "Always", "Never")
GPU_RESOURCE = "nvidia.com/gpu"
HOSTNAME = "kubernetes.io/hostname"
MOST_REPLICAS = 2**31 - 1
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True)
class Mount:
    """A folder of the node made visible in the container."""

    source: str
    target: str
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Mount:
        """Parse `/host/path:/container/path[:ro]`; raises BadInput."""
        parts = text.split(":")
        mode = parts.pop() if len(parts) == 3 else "rw"
        if len(parts) != 2 or mode not in ("ro", "rw"):
            raise BadInput(f"{text!r} is not a volume", "", "write /ON/NODE:/IN/CONTAINER[:ro]")
        source, target = parts
        for path in parts:
            if not path.startswith("/") or ".." in path.split("/"):
                raise BadInput(f"{path!r} in volume {text!r} must be absolute, without '..'")
        return cls(source, target, mode == "ro")


@dataclass(frozen=True)
class Toleration:
    """A node taint the pod tolerates; an empty value means any value of the key."""

    key: str
    value: str = ""
    effect: str = ""

    @classmethod
    def parse(cls, text: str) -> Toleration:
        """Parse `KEY[=VALUE][:EFFECT]`; raises BadInput."""
        pair, colon, effect = text.partition(":")
        if colon and effect not in EFFECTS:
            raise BadInput(f"{effect!r} is not a taint effect", "", f"one of {', '.join(EFFECTS)}")
        key, _, value = pair.partition("=")
        check_label(key, value)
        return cls(key, value, effect)

    def to_json(self) -> dict[str, str]:
        """As a pod's toleration."""
        match = {"operator": "Equal", "value": self.value} if self.value else {"operator": "Exists"}
        return {"key": self.key, **match, **({"effect": self.effect} if self.effect else {})}


@dataclass(frozen=True)
class Workload:
    """One image and how it runs; every kind of manifest is written from this.

    image: the reference with its digest (a tag is kept in an annotation only).
    batch: the program ends by itself. gpus: limit of gpu_resource, 0 for none. shared: the GPU is
    time-sliced, so one of gpu_resource is a share.
    memory: limit as a Kubernetes quantity, or empty. identity: the build plan's digest, or empty.
    """

    name: str
    image: Reference
    target: str = KUBEEDGE
    batch: bool = True
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    gpus: int = 0
    gpu_resource: str = GPU_RESOURCE
    shared: bool = False
    memory: str = ""
    host_network: bool = False
    namespace: str = ""
    replicas: int = 1
    node: str = ""
    selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    pull_policy: str = "IfNotPresent"
    pull_secret: str = ""
    version: str = ""
    l4t: str = ""
    identity: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse, with our words; BadInput or Refused."""
        check_label_name(self.name, "name of a workload")
        if not self.image.digest:
            raise BadInput(f"{self.image} names no digest", "", "write REPOSITORY@sha256:…")
        if self.target not in TARGETS:
            raise BadInput(f"unknown target {self.target!r}", "", f"one of {', '.join(TARGETS)}")
        if self.pull_policy not in PULL_POLICIES:
            raise BadInput(
                f"unknown pull policy {self.pull_policy!r}",
                "",
                f"one of {', '.join(PULL_POLICIES)}",
            )
        self._check_names()
        self._check_numbers()

    def _check_names(self) -> None:
        if self.namespace:
            check_label_name(self.namespace, "namespace")
        if self.node:
            check_subdomain(self.node, "node name")
            check_label(HOSTNAME, self.node)
        if self.pull_secret:
            check_subdomain(self.pull_secret, "secret name")
        if self.memory:
            check_quantity(self.memory)
        check_label(self.gpu_resource, "")
        if "/" not in self.gpu_resource:
            raise BadInput(
                f"{self.gpu_resource!r} is not a device plugin's resource",
                "",
                "like nvidia.com/gpu",
            )
        for key, value in self.selector:
            check_label(key, value)
        for key, _ in self.env:
            check_environment_name(key)
        named = ((HOSTNAME, self.node),) if self.node else ()
        _check_once("node label", (*self.selector, *named))
        _check_once("environment variable", self.env)
        targets = [mount.target for mount in self.mounts]
        if len(set(targets)) != len(targets):
            raise BadInput("two volumes are mounted at the same path", ", ".join(targets))

    def _check_numbers(self) -> None:
        if not 0 <= self.replicas <= MOST_REPLICAS:
            raise BadInput(f"{self.replicas} replicas cannot be", "", "give 0 or more")
        if self.gpus < 0:
            raise BadInput(f"{self.gpus} GPUs cannot be", "", "give 0 or more")
        if self.gpus > 1 and self.shared:
            raise Refused(
                f"a pod cannot ask for {self.gpus} shares of a time-sliced GPU",
                "more shares give no more compute, and the device plugin refuses them",
                "use --gpu 1 with --shared",
            )

    def labels(self) -> dict[str, str]:
        """Recommended labels and the build's identity, valid as label values."""
        found = {
            "app.kubernetes.io/name": self.name,
            "app.kubernetes.io/version": label_value(self.version),
            "app.kubernetes.io/component": "batch" if self.batch else "service",
            "app.kubernetes.io/managed-by": "imgctl",
            "imgctl.io/l4t": label_value(self.l4t),
            "imgctl.io/plan": self.identity.removeprefix("sha256:")[:16],
        }
        return {key: value for key, value in found.items() if value}

    def notes(self) -> dict[str, str]:
        """Annotations: the readable tag, the digest and the whole identity, and those given."""
        tag = f"{self.image.name}:{self.image.tag}" if self.image.tag else ""
        found = {
            "imgctl.io/tag": tag,
            "imgctl.io/digest": self.image.digest or "",
            "imgctl.io/plan": self.identity,
        }
        return {key: value for key, value in found.items() if value} | dict(self.annotations)


def _check_once(what: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse a key with two values: one would win in silence, or the API server refuse both."""
    known: dict[str, str] = {}
    for key, value in pairs:
        if known.setdefault(key, value) != value:
            raise BadInput(
                f"the {what} {key} is given twice", f"{known[key]!r} and {value!r}", "give it once"
            )


def from_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A push record's part of a Workload, as keyword arguments; raises BadInput.

    record: the JSON object of push.json (schema 1). Raises Refused for another platform's.
    """
    try:
        if record["kind"] != "push":
            raise BadInput(f"not a push record: kind {record['kind']!r}", "", "run `imgctl push`")
        if record["schema"] != 1:
            raise BadInput(
                f"the record has schema {record['schema']!r}",
                "this imgctl knows schema 1",
                "use the imgctl that wrote it, or push again",
            )
        platform = Platform.parse(str(record.get("platform") or Platform()))
        check_platform(str(record["image"]), platform)
        tags = record["tags"]
        image = Reference.parse(f"{record['repository']}@{record['digest']}")
        workload = record.get("workload") or {}
        return {
            "name": workload_name(str(record["image"])),
            "image": Reference(
                image.host, image.repository, tags[0] if tags else None, image.digest
            ),
            **workload_of(workload),
            "command": tuple(record.get("command") or ()),
            "version": str(record.get("version") or _version(tags)),
            "l4t": str(record.get("l4t", "")),
            "identity": str(record.get("plan", "")),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput("the record is not a push record", f"field {error}", "push again") from error


def check_platform(image: str, platform: Platform) -> None:
    """Raise Refused for an image of another platform than a Jetson's; image: what it is called."""
    if not platform.matches(Platform()):
        raise Refused(
            f"{image} is for {platform}", "a Jetson runs linux/arm64", "build it for arm64"
        )


def workload_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """What an image's definition says of how it runs, as a Workload's keyword arguments.

    value: with `kind`, `gpus` and `host_network` as image.yaml has them.
    """
    return {
        "batch": value.get("kind", "batch") == "batch",
        "gpus": int(value.get("gpus", 0)),
        "host_network": bool(value.get("host_network", False)),
    }


def workload_name(image: str) -> str:
    """The name of what runs an image: its own, with what Kubernetes does not allow as `-`."""
    return re.sub(r"[._]", "-", image)


def _version(tags: Sequence[str]) -> str:
    """The image's version from the tag that names one build: `1.0.0-l4t-r35.2.1`."""
    return next((tag.split("-l4t-")[0] for tag in tags if "-l4t-" in tag), "")
