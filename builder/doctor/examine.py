"""All checks, at once where they do not wait for each other, in one order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from builder.base_image import RemoteBase, read_base
from builder.bases import BaseImage
from builder.doctor.check import Check
from builder.doctor.disk import BaseSize, check_dist_disk, check_engine_disk, room_at
from builder.doctor.docker import (
    DockerFacts,
    ask_docker,
    check_buildx,
    check_docker,
    list_builders,
)
from builder.doctor.emulation import check_arm64, check_binfmt, read_binfmt, run_uname
from builder.doctor.registries import check_base, check_registry, check_target
from builder.engines.select import Builder, inspect_builder
from builder.mirror import Mirror
from registry.client import RegistryClient
from registry.errors import ImgctlError
from registry.oci import Platform

_WORKERS = 8  # more than there are things to wait for


@dataclass(frozen=True)
class Question:
    """What the machine shall be able to do.

    environment: of the docker command. machine: this one's processor. base: the one asked about;
    None for any. engine_for: why the image needs buildx, `line 3, RUN: …`; None when it does not,
    so that neither Docker nor emulation is needed. harbor: where images go to, or empty.
    """

    environment: Mapping[str, str] = field(repr=False)
    machine: str
    dist: Path
    base: BaseImage | None = None
    engine_for: str | None = "any image"
    mirror: Mirror | None = None
    builder: str = ""
    harbor: str = ""

    @property
    def base_host(self) -> str:
        """The registry bases are read from."""
        if self.mirror is not None:
            return self.mirror.host
        return self.base.registry if self.base is not None else "nvcr.io"


def examine(question: Question, client: RegistryClient) -> Iterator[Check]:
    """Every check in a fixed order, each as soon as it and those before it are there."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        environment = question.environment
        docker = pool.submit(ask_docker, environment)
        builder = pool.submit(inspect_builder, question.builder, environment)
        builders = pool.submit(list_builders, environment)
        base = pool.submit(_read_base, question, client)
        target = pool.submit(check_target, client, question.harbor) if question.harbor else None
        run = pool.submit(lambda: run_uname(builder.result(), environment))

        yield _weighed(question, check_docker(docker.result()))
        yield _weighed(question, check_buildx(builder.result(), builders.result()))
        arm64 = check_arm64(run.result())
        binfmt = check_binfmt(read_binfmt(), question.machine)
        if arm64.state == "ok":
            binfmt = binfmt.unneeded("arm64 programs run all the same")
        yield _weighed(question, binfmt)
        yield _weighed(question, arm64)
        yield from _disks(question, docker.result(), builder.result(), _size(question, base))
        yield _base(question, client, base)
        if target is not None:
            yield target.result()


def _weighed(question: Question, check: Check) -> Check:
    """What Docker lacks is no failure for an image that needs none."""
    if question.engine_for is not None:
        return check
    return check.unneeded("the direct engine builds this image")


def _disks(
    question: Question, docker: DockerFacts, builder: Builder, size: BaseSize | None
) -> Iterator[Check]:
    pulled = question.engine_for is not None
    root = Path(docker.root) if docker.answers and docker.is_local and docker.root else None
    # A daemon elsewhere, or a builder with a disk of its own, is not to be measured from here.
    if root is not None and builder.driver == "docker" and root.is_dir():
        room = room_at(root)
        yield _weighed(question, check_engine_disk(room, size, pulled=pulled))
    yield check_dist_disk(room_at(question.dist), size, pulled=pulled)


def _read_base(question: Question, client: RegistryClient) -> RemoteBase | ImgctlError | None:
    if question.base is None:
        return None
    reference = question.base.reference
    source = question.mirror.of(reference) if question.mirror else reference
    try:
        store = client.repository(source.host, source.repository)
        return read_base(store, reference, source, Platform())
    except ImgctlError as error:
        return error


def _base(
    question: Question,
    client: RegistryClient,
    base: Future[RemoteBase | ImgctlError | None],
) -> Check:
    found = base.result()
    return check_registry(client, question.base_host) if found is None else check_base(found)


def _size(question: Question, base: Future[RemoteBase | ImgctlError | None]) -> BaseSize | None:
    if question.base is None:
        return None
    found = base.result()
    packed = (
        sum(layer.size for layer in found.manifest.layers)
        if isinstance(found, RemoteBase)
        else None
    )
    known = question.base.disk_mb
    return BaseSize.of(packed, known * 10**6 if known is not None else None)
