"""The whole pipeline in one process, as `imgctl demo` shows it, each step measured.

Everything is what the other commands use, but for two things: the registry lives in this
process's memory, and the base in it is a stand-in (builder/stand_in.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from builder.build import build_all
from builder.definition import FILE_NAME
from builder.dist import Build
from builder.engines.buildx import BuildxOptions
from builder.matrix import Matrix
from builder.mirror import Mirror
from builder.plan import Choices
from builder.planning import Settings, Workshop
from builder.request import Request, resolve_base
from builder.stand_in import push_stand_in
from deploy.manifests import warnings
from deploy.output import write_matching
from deploy.workload import Workload, from_record
from imgctl.progress import size
from registry.client import RegistryClient, RegistryOptions
from registry.errors import ImgctlError
from registry.oci import Document, Platform
from registry.progress import SILENT
from registry.push import PlainTarget, PushRecord
from registry.repository import Repository
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from release.push import Place, Work, push_build

MIRROR_PREFIX = "nvcr"  # as a proxy project of Harbor would be called
PROJECT = "algorithms"


@dataclass
class Step:
    """One step of the pipeline: what it says of itself, what it made, what it cost.

    seconds: wall clock. received, sent: bytes of HTTP bodies; requests: of HTTP. detail: the text
    it made, to be shown whole.
    """

    name: str
    says: str = ""
    detail: str = ""
    seconds: float = 0.0
    received: int = 0
    sent: int = 0
    requests: int = 0

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


@dataclass(frozen=True)
class Pipeline:
    """What all steps work with: one image, one embedded registry, one folder for results."""

    request: Request
    workshop: Workshop
    client: RegistryClient
    host: str
    show: Callable[[Step], None]
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Measure what the block does, then show it."""
        client = self.client
        step = Step(name)
        before = (client.bytes_received, client.bytes_sent, client.requests)
        began = time.perf_counter()
        yield step
        step.seconds = time.perf_counter() - began
        after = (client.bytes_received, client.bytes_sent, client.requests)
        step.received, step.sent, step.requests = (
            new - old for new, old in zip(after, before, strict=True)
        )
        self.steps.append(step)
        self.show(step)


def demonstrate(
    matrix: Matrix,
    request: Request,
    template_roots: list[Path],
    folder: Path,
    show: Callable[[Step], None],
    *,
    full: bool,
) -> tuple[list[Step], PushRecord]:
    """Run the pipeline for one image; every step as it was shown, and the record of its push.

    folder: an existing one for the results. full: fetch the base's layers too, so that the result
    outlives the embedded registry. Raises ImgctlError as the single commands do, for example
    Refused for an image whose steps have to run.
    """
    with serve(MemoryRegistry()) as host, RegistryClient(RegistryOptions()) as client:
        settings = Settings(
            dist=folder / "dist",
            choices=Choices(),
            engine="direct",
            buildx=BuildxOptions({}),
            mirror=Mirror(host, MIRROR_PREFIX),
            full=full,
        )
        workshop = Workshop(matrix, client, template_roots, settings, SILENT)
        pipeline = Pipeline(request, workshop, client, host, show)
        _stand_in(pipeline)
        _definition(pipeline)
        _dockerfile(pipeline, folder)
        build = _build(pipeline)
        pushed = _push(pipeline, build)
        _artifact(pipeline, pushed, folder)
        _manifests(pipeline, pushed, build)
        _again(pipeline)
        return pipeline.steps, pushed


def _stand_in(pipeline: Pipeline) -> None:
    workshop = pipeline.workshop
    with pipeline.step("stand-in") as step:
        base = resolve_base(workshop.matrix, pipeline.request, None)
        place = Mirror(pipeline.host, MIRROR_PREFIX).of(base.reference)
        repository = pipeline.client.repository(place.host, place.repository)
        with TemporaryDirectory() as scratch:
            push_stand_in(repository, base, Path(scratch))
        step.says = f"{place} takes the place of {base.reference}"


def _definition(pipeline: Pipeline) -> None:
    definition = pipeline.request.definition
    with pipeline.step("definition") as step:
        step.detail = (definition.directory / FILE_NAME).read_text("utf-8")
        count = len(definition.files)
        step.says = (
            f"{definition.name} {definition.version}, {count} file{'s' * (count != 1)}, "
            f"for {pipeline.request.release.name}"
        )


def _dockerfile(pipeline: Pipeline, folder: Path) -> None:
    workshop = pipeline.workshop
    with pipeline.step("Dockerfile") as step:
        base = resolve_base(workshop.matrix, pipeline.request, None)
        step.detail = workshop.render(pipeline.request, base)
        step.says = f"on {base.reference}"
    (folder / "Dockerfile").write_text(step.detail, "utf-8")


def _build(pipeline: Pipeline) -> Build:
    with pipeline.step("build") as step:
        build, _ = _built(pipeline)
        record = build.record
        ours, base = (sum(item.size for item in record.layers(ours=own)) for own in (True, False))
        pulled = ", not pulled" if record.sparse else ""
        step.says = f"{record.digest}: our {size(ours)} on a base of {size(base)}{pulled}"
        step.detail = "".join(
            f"{'our ' if item['ours'] else 'base'} layer  {item['digest']}  {size(item['size'])}\n"
            for item in record.value["layers"]
        )
    return build


def _built(pipeline: Pipeline) -> tuple[Build, bool]:
    """The finished build, and whether it was there already."""
    outcome = build_all(pipeline.workshop, [pipeline.request])[0]
    if outcome.record is None or outcome.folder is None:
        raise outcome.error or ImgctlError("not built")
    return Build(outcome.folder, outcome.record), outcome.up_to_date


def _push(pipeline: Pipeline, build: Build) -> PushRecord:
    with pipeline.step("push") as step:
        pushed = push_build(_push_work(pipeline), build)
        tally = pushed.tally
        step.says = (
            f"{pushed.repository}:{pushed.tags[0]}: sent {size(tally.sent_bytes)}, "
            f"mounted {size(tally.mounted_bytes)}"
        )
    return pushed


def _push_work(pipeline: Pipeline) -> Work:
    return Work(pipeline.client, Place(pipeline.host, PROJECT), PlainTarget(), manifests=False)


def _artifact(pipeline: Pipeline, pushed: PushRecord, folder: Path) -> None:
    """What the registry now says it holds, asked as anybody would."""
    name = f"{PROJECT}/{pushed.image}"
    with pipeline.step("artifact") as step:
        repository = pipeline.client.repository(pipeline.host, name)
        document = repository.manifest(pushed.tags[0])
        value = _description(repository, document)
        if document.digest != pushed.descriptor.digest:
            raise ImgctlError("the registry holds another image", f"it names {document.digest}")
        step.detail = json.dumps(value, indent=2) + "\n"
        step.says = f"{document.digest}, as it was pushed"
    (folder / "artifact.json").write_text(step.detail, "utf-8")


def _description(repository: Repository, document: Document) -> dict[str, Any]:
    config = json.loads(repository.blob_bytes(document.config))
    return {
        "digest": document.digest,
        "tags": repository.tags(),
        "media_type": document.media_type,
        "platform": str(Platform.from_json(config)),
        "size": sum(blob.size for blob in document.blobs()),
        "layers": len(document.layers),
        "command": config["config"].get("Cmd"),
        "annotations": document.annotations,
    }


def _manifests(pipeline: Pipeline, pushed: PushRecord, build: Build) -> None:
    with pipeline.step("manifests") as step:
        written = write_matching(pushed.to_json(), build.folder)
        step.detail = "---\n".join(path.read_text("utf-8") for path in written)
        step.says = f"{' and '.join(path.name for path in written)}, pinned by digest"
        workload = Workload(**from_record(pushed.to_json()))
        for line in warnings(workload, ("pod", "deployment")):
            step.says += f"\n{line}"


def _again(pipeline: Pipeline) -> None:
    """The same once more: what is there is neither built nor sent again."""
    with pipeline.step("again") as step:
        build, up_to_date = _built(pipeline)
        pushed = push_build(_push_work(pipeline), build)
        built = "up to date" if up_to_date else "built again"
        step.says = f"build {built}, push {'unchanged' if pushed.unchanged else 'repeated'}"
