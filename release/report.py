"""The page about a release: what it is, for which devices, what is in it, how to check and run it.

One HTML file without scripts and without anything to be fetched, so that it can be mailed, kept
with the release, and opened years later. Everything an image says of itself is quoted: labels and
file names are somebody's input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builder.matrix import Matrix
from deploy.manifests import manifests
from deploy.workload import Workload, from_record
from deploy.yaml_text import to_yaml
from registry.errors import BadInput
from registry.text import visible
from release.charts import Point, Share, human, layer_bar, size_plot
from release.diff import Change
from release.listing import Released
from release.remote import BASE_DIGEST, BASE_NAME, CREATED, L4T, REVISION, VERSION, RemoteImage

TEMPLATE = Path(__file__).parent / "data" / "report.html.j2"
_SOURCE = "org.opencontainers.image.source"
_DESCRIPTION = "org.opencontainers.image.description"
_MOST_RELEASES = 20
_MOST_CHANGES = 100
_MOST_PARTS = 500
_REPRODUCIBLE = "1970-01-01T00:00:00Z"  # what builds write in place of the time


@dataclass(frozen=True)
class Layer:
    """A row of the layers' table. origin: `base`, `ours`, or `unknown`."""

    digest: str
    size: int
    origin: str

    @property
    def told(self) -> str:
        """The size for a reader."""
        return human(self.size)


@dataclass(frozen=True)
class Part:
    """Something that was added to the base. kind: `package` or `file`."""

    name: str
    kind: str
    version: str = ""
    license: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Row:
    """An earlier (or this) release. signed: a signature is attached; nobody has checked it."""

    version: str
    digest: str
    base: str
    base_digest: str
    size: int
    signed: bool

    @property
    def told(self) -> str:
        """The size for a reader."""
        return human(self.size)


@dataclass(frozen=True)
class Signature:
    """What is known of signatures. tone: `good`, `bad` or `soft`."""

    text: str
    tone: str = "soft"


@dataclass(frozen=True)
class Findings:
    """What was found out about an image besides the image itself.

    base_layers: how many of its layers are the base's, None when nobody could tell. previous:
    the version before, empty without one; changes: since then, None when that is not known.
    contents_from: where contents are from, for the reader. workload: what it needs to run, as
    records have it.
    """

    signature: Signature
    base_layers: int | None = None
    previous: str = ""
    changes: Sequence[Change] | None = None
    contents: Sequence[Part] = ()
    contents_from: str = ""
    releases: Sequence[Released] = ()
    workload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Everything the page says, in its order."""

    name: str
    version: str
    description: str
    reference: str
    digest: str
    l4t: str
    facts: tuple[tuple[str, str], ...]
    signature: Signature
    commands: tuple[tuple[str, str], ...]
    layers: tuple[Layer, ...]
    layers_told: str
    previous: str
    changes: tuple[Change, ...] | None
    changes_left_out: int
    releases: tuple[Row, ...]
    releases_left_out: int
    contents: tuple[Part, ...]
    contents_told: str
    manifests: tuple[tuple[str, str], ...]
    tool: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; sizes in bytes."""
        return asdict(self)


def make_report(image: RemoteImage, found: Findings, matrix: Matrix, tool: str) -> Report:
    """Gather what is to be said of an image; tool: imgctl's version."""
    labels, name = image.labels, image.reference.repository.rpartition("/")[2]
    digest = image.manifest.digest
    layers = _layers(image, found.base_layers)
    return Report(
        name=name,
        version=labels.get(VERSION, image.reference.tag or digest),
        description=labels.get(_DESCRIPTION, ""),
        reference=f"{image.reference.name}@{digest}",
        digest=digest,
        l4t=labels.get(L4T, ""),
        facts=_facts(image, matrix),
        signature=found.signature,
        commands=_commands(image, found.signature),
        layers=layers,
        layers_told=_layers_told(image, layers),
        previous=found.previous,
        changes=None if found.changes is None else tuple(found.changes[:_MOST_CHANGES]),
        changes_left_out=max(0, len(found.changes or ()) - _MOST_CHANGES),
        releases=tuple(_row(item) for item in found.releases[:_MOST_RELEASES]),
        releases_left_out=max(0, len(found.releases) - _MOST_RELEASES),
        contents=tuple(found.contents[:_MOST_PARTS]),
        contents_told=_contents_told(found),
        manifests=_manifests(image, name, found.workload),
        tool=tool,
    )


def to_html(report: Report) -> str:
    """The page."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    shares = [
        Share(f"{item.origin}: {item.told}", item.size, item.origin) for item in report.layers
    ]
    points = [
        Point(visible(row.version), row.size, visible(row.base))
        for row in reversed(report.releases)
    ]
    plot = ""
    if len(points) > 1:
        ends = f"From {points[0].label} to {points[-1].label}"
        plot = size_plot(points, "Size of each release", ends)
    bar = layer_bar(shares, "Sizes of the layers", report.layers_told)
    return template.render(report=report, layer_bar=bar, size_plot=plot)


def _shown(value: Any) -> Any:
    """Text as it can be seen; what is HTML already is our own."""
    return visible(value) if type(value) is str else value


def _facts(image: RemoteImage, matrix: Matrix) -> tuple[tuple[str, str], ...]:
    labels = image.labels
    found = {
        "Runs on": _devices(labels.get(L4T, ""), matrix),
        "Base": labels.get(BASE_NAME, ""),
        "Base digest": labels.get(BASE_DIGEST, ""),
        "Digest": image.manifest.digest,
        "Platform": str(image.config.platform),
        "Source": labels.get(_SOURCE, ""),
        "Revision": labels.get(REVISION, ""),
        "Created": labels.get(CREATED, "").replace(_REPRODUCIBLE, ""),
    }
    return tuple((key, value) for key, value in found.items() if value)


def _devices(l4t: str, matrix: Matrix) -> str:
    if not l4t:
        return ""
    try:
        release = matrix.release(l4t)
    except BadInput:
        return f"{l4t}, which the matrix does not know"
    names = [matrix.module(key).names[0] for key in release.modules]
    return f"{release.name} (JetPack {release.jetpack}): {', '.join(names)}"


def _commands(image: RemoteImage, signature: Signature) -> tuple[tuple[str, str], ...]:
    pinned = f"{image.reference.name}@{image.manifest.digest}"
    found = [
        ("Pull it", f"docker pull {pinned}"),
        ("Run it on a cluster", f"imgctl deploy {pinned}"),
    ]
    if signature.text != NOT_SIGNED.text:
        found.insert(0, ("Check it", f"imgctl verify {pinned} \\\n  --key signing.pub"))
    return tuple(found)


NOT_SIGNED = Signature("not signed")


def _layers(image: RemoteImage, base_layers: int | None) -> tuple[Layer, ...]:
    def origin(place: int) -> str:
        if base_layers is None:
            return "unknown"
        return "base" if place < base_layers else "ours"

    return tuple(
        Layer(layer.digest, layer.size, origin(place)) for place, layer in enumerate(image.layers)
    )


def _layers_told(image: RemoteImage, layers: Sequence[Layer]) -> str:
    ours = sum(layer.size for layer in layers if layer.origin == "ours")
    base = sum(layer.size for layer in layers if layer.origin == "base")
    if not ours and not base:
        return f"{len(layers)} layers, {human(image.size)}; which are the base's could not be told."
    return f"{human(ours)} of our own on a base of {human(base)}, in {len(layers)} layers."


def _contents_told(found: Findings) -> str:
    if not found.contents:
        return found.contents_from or "Nothing could be read."
    packages = sum(part.kind == "package" for part in found.contents)
    files = len(found.contents) - packages
    told = f"{_count(packages, 'package')} and {_count(files, 'file')}"
    left = len(found.contents) - _MOST_PARTS
    cut = f" The first {_MOST_PARTS} are shown." if left > 0 else ""
    return f"{told}, {found.contents_from}.{cut}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _row(item: Released) -> Row:
    labels = item.image.labels
    base = labels.get(BASE_NAME, "unknown")
    return Row(
        version=str(item.version),
        digest=item.digest,
        base=base,
        base_digest=labels.get(BASE_DIGEST, ""),
        size=item.image.size,
        signed=item.signed,
    )


def _manifests(
    image: RemoteImage, name: str, workload: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    command = [*(image.settings.get("Entrypoint") or []), *(image.settings.get("Cmd") or [])]
    record = {
        "schema": 1,
        "kind": "push",
        "image": name,
        "version": image.labels.get(VERSION, ""),
        "repository": image.reference.name,
        "tags": [image.reference.tag] if image.reference.tag else [],
        "digest": image.manifest.digest,
        "l4t": image.labels.get(L4T, ""),
        "command": command,
        "workload": workload,
    }
    found = Workload(**from_record(record))
    kinds = ("pod", "deployment", "job")
    return tuple((kind, to_yaml(manifests(found, [kind]))) for kind in kinds)
