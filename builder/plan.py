"""A build plan: everything that decides an image's bytes, and nothing that does not.

Two plans with the same identity make the same image, on any machine. So local paths, the mirror
a base was read from, the network and caches are kept beside the identity, not in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from builder.base_image import RemoteBase
from builder.bases import BaseImage
from builder.dates import timestamp
from builder.instructions import Instruction, final_stage, parse
from builder.matrix import L4TRelease
from builder.stage import beyond_stage, obstacle, only_buildx
from registry.errors import BadInput
from registry.oci import Platform, canonical_json, sha256

if TYPE_CHECKING:
    from builder.definition import ImageDefinition

SCHEMA = 1

Method = Literal["graft", "wheels", "full"]
"""graft: files and settings on an unseen base. wheels: the same, with a layer of Python packages
resolved for the base. full: BuildKit runs every step on the pulled base."""

_OCI = "org.opencontainers.image."
_OURS = "io.imgctl."


@dataclass(frozen=True)
class ContextFile:
    """A file of the build context.

    path: inside the context. mode: permission bits it gets in the image. size: bytes.
    sha256: hex digest. source: where it lies on this machine, not part of the identity.
    """

    path: str
    mode: int
    size: int
    sha256: str
    source: Path = field(compare=False)

    def to_json(self) -> dict[str, Any]:
        """As the plan's JSON has it: mode as octal text, without the local path."""
        return {
            "path": self.path,
            "mode": f"{self.mode:04o}",
            "size": self.size,
            "sha256": self.sha256,
        }


@dataclass(frozen=True)
class Choices:
    """What the user decides about a build besides image, release and base.

    build_args: for ARG. source, revision: of the image's own code, for labels; empty for none.
    created: seconds since 1970 that everything in the image is dated; None takes the base's own
    date, so that an image without SOURCE_DATE_EPOCH is still the same everywhere. labels: extra.
    """

    platform: Platform = field(default_factory=Platform)
    build_args: Mapping[str, str] = field(default_factory=dict, hash=False)
    source: str = ""
    revision: str = ""
    created: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class BuildPlan:
    """Everything an engine needs. Make one with `make_plan`.

    tag: `1.0.0-l4t-r35.2.1`. requirements: Python packages to lay on the base as wheels, in pip's
    syntax. labels: of the image config. annotations: of the manifest, the plan's own added later.
    """

    image: str
    version: str
    tag: str
    release: L4TRelease
    base: BaseImage
    remote: RemoteBase
    method: Method
    dockerfile: str
    files: tuple[ContextFile, ...]
    requirements: tuple[str, ...]
    command: tuple[str, ...]
    workload: Mapping[str, Any] = field(hash=False)
    labels: Mapping[str, str] = field(hash=False)
    annotations: Mapping[str, str] = field(hash=False)
    build_args: Mapping[str, str] = field(hash=False)
    created: int

    @property
    def name(self) -> str:
        """`mnist:1.0.0-l4t-r35.2.1`."""
        return f"{self.image}:{self.tag}"

    @property
    def platform(self) -> Platform:
        """What the image runs on."""
        return self.remote.platform

    @cached_property
    def stage(self) -> tuple[Instruction, ...]:
        """The last stage of the Dockerfile."""
        return final_stage(parse(self.dockerfile))

    @cached_property
    def identity(self) -> str:
        """The digest of everything that decides the bytes."""
        return sha256(canonical_json(self.deciding()))

    @property
    def all_annotations(self) -> dict[str, str]:
        """The manifest's annotations, the plan's identity among them."""
        return dict(self.annotations) | {f"{_OURS}plan": self.identity}

    def only_buildx(self) -> str | None:
        """Why the direct engine cannot build this; None when it can."""
        return only_buildx(parse(self.dockerfile), str(self.remote.reference))

    def deciding(self) -> dict[str, Any]:
        """What the identity is over, as JSON."""
        return {
            "schema": SCHEMA,
            "image": self.image,
            "version": self.version,
            "tag": self.tag,
            "l4t": self.release.name,
            "jetpack": self.release.jetpack,
            "platform": str(self.platform),
            "method": self.method,
            "base": {
                "reference": str(self.remote.reference),
                "digest": self.remote.manifest.digest,
                "config_digest": self.remote.manifest.config.digest,
            },
            "dockerfile": self.dockerfile,
            "files": [file.to_json() for file in self.files],
            "requirements": list(self.requirements),
            "command": list(self.command),
            "workload": dict(self.workload),
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "build_args": dict(self.build_args),
            "created": self.created,
        }

    def to_json(self) -> dict[str, Any]:
        """The plan for a reader: its identity, what decides it, and where the base is read."""
        return {
            "plan": self.identity,
            **self.deciding(),
            "base_source": self.remote.pinned,
            "base_exact": self.base.exact,
            "base_reason": self.base.reason,
        }


def make_plan(
    definition: ImageDefinition,
    release: L4TRelease,
    base: BaseImage,
    remote: RemoteBase,
    dockerfile: str,
    choices: Choices,
    *,
    wheels: bool = False,
) -> BuildPlan:
    """The plan to build a definition on a base.

    dockerfile: the rendered text; with wheels, rendered without the definition's pip packages,
    which the direct engine lays on the base itself. Reads every file once, for its digest.
    Raises BadInput when a file cannot be read.
    """
    tag = f"{definition.version}-l4t-{release.name}"
    created = remote.config.created if choices.created is None else choices.created
    annotations = _annotations(definition, tag, release, remote, choices, created)
    parsed = parse(dockerfile)
    blocked = (
        obstacle(final_stage(parsed))
        or beyond_stage(parsed, str(remote.reference))
        or remote.config.settings.get("OnBuild")  # steps of the base's own, to be run on the base
    )
    method: Method = "full" if blocked else "wheels" if wheels else "graft"
    return BuildPlan(
        image=definition.name,
        version=definition.version,
        tag=tag,
        release=release,
        base=base,
        remote=remote,
        method=method,
        dockerfile=dockerfile,
        files=_context(definition),
        requirements=tuple(definition.pip) if wheels else (),
        command=tuple(definition.command),
        workload=_workload(definition),
        labels=dict(sorted((annotations | dict(choices.labels)).items())),
        annotations=annotations,
        build_args=dict(sorted(choices.build_args.items())),
        created=created,
    )


def _annotations(
    definition: ImageDefinition,
    tag: str,
    release: L4TRelease,
    remote: RemoteBase,
    choices: Choices,
    created: int,
) -> dict[str, str]:
    """The OCI annotations (image-spec v1.1, annotations.md) and ours, empty ones left out.

    base.digest is that of the platform's manifest, the one the layers were taken from.
    """
    values = {
        f"{_OCI}title": definition.name,
        f"{_OCI}description": definition.description,
        f"{_OCI}version": definition.version,
        f"{_OCI}ref.name": tag,
        f"{_OCI}created": timestamp(created),
        f"{_OCI}source": choices.source,
        f"{_OCI}revision": choices.revision,
        f"{_OCI}base.name": str(remote.reference),
        f"{_OCI}base.digest": remote.manifest.digest,
        f"{_OURS}l4t": release.name,
        f"{_OURS}jetpack": release.jetpack,
        # For who has only the image, and is to write what runs it.
        f"{_OURS}workload": json.dumps(_workload(definition), sort_keys=True),
    }
    return {key: value for key, value in sorted(values.items()) if value}


def _workload(definition: ImageDefinition) -> dict[str, Any]:
    return {
        "kind": definition.workload.kind,
        "gpus": definition.workload.gpus,
        "host_network": definition.workload.host_network,
    }


def _context(definition: ImageDefinition) -> tuple[ContextFile, ...]:
    found = {}
    for entry in definition.files:
        size, digest = _measure(entry.source)
        found[entry.relative] = ContextFile(entry.relative, entry.mode, size, digest, entry.source)
    return tuple(found[path] for path in sorted(found))


def _measure(path: Path) -> tuple[int, str]:
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return stream.tell(), digest
    except OSError as error:
        raise BadInput(f"the file {path} cannot be read", (error.strerror or "").lower()) from error
