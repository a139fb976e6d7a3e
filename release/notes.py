"""Release notes: what was released, for which devices, and what changed since the last time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.dist import Build
from registry.files import replace_text
from registry.oci import Platform
from registry.reference import Reference
from registry.text import visible
from release.diff import Change, compare
from release.procedure import Job, tags_of
from release.record import ReleaseRecord
from release.remote import read_image

_MOST = 30  # changes told one by one


@dataclass(frozen=True)
class Since:
    """What changed since an earlier version, for one L4T release."""

    version: str
    changes: Sequence[Change]


def write_notes(job: Job, record: ReleaseRecord, builds: Mapping[str, Build]) -> Path:
    """Write VERSION.notes.md beside the record; its path. Looks at the last releases for it."""
    tags = tags_of(job.repository)
    since = {l4t: found for l4t in builds if (found := _since_last(job, l4t, tags))}
    path = job.path.with_name(f"{job.version}.notes.md")
    replace_text(path, notes(record, builds, since, signed=job.seal is not None))
    return path


def _since_last(job: Job, l4t: str, tags: Sequence[str]) -> Since | None:
    earlier = [item for item in job.scheme.versions(tags, l4t) if item < job.version]
    if not earlier:
        return None
    one, two = (
        read_image(
            job.repository,
            Reference.parse(f"{job.repository}:{job.scheme.fixed_tag(version, l4t)}"),
            Platform(),
        )
        for version in (earlier[-1], job.version)
    )
    found = compare(one, job.repository, two, job.repository)
    changes = [item for item in found.changes if item.what != "label"]
    return Since(str(earlier[-1]), changes)


def notes(
    record: ReleaseRecord, builds: Mapping[str, Build], since: Mapping[str, Since], *, signed: bool
) -> str:
    """The notes of a release as Markdown."""
    lines = [f"# {record.image} {record.version}", ""]
    if record.revision:
        lines += [f"From commit `{record.revision}`.", ""]
    lines += ["| L4T | Base | Ours | Digest |", "|---|---|---|---|"]
    for l4t, build in builds.items():
        value = build.record.value
        ours = sum(layer.size for layer in build.record.layers(ours=True))
        base = value["base"]["reference"]
        lines.append(f"| {l4t} | `{base}` | {ours} bytes | `{build.record.digest}` |")
    lines += ["", "## Use it", "", "```console"]
    for l4t, build in builds.items():
        pinned = f"{record.repository}@{build.record.digest}"
        if signed:
            lines.append(f"$ imgctl verify {pinned} --key signing.pub")
        lines.append(f"$ imgctl manifests {pinned}  # {l4t}")
    lines += ["```", ""]
    for l4t, found in since.items():
        lines += [f"## Since {found.version} ({l4t})", ""]
        lines += [f"- {_told(change)}" for change in found.changes[:_MOST]]
        if len(found.changes) > _MOST:
            lines.append(f"- and {len(found.changes) - _MOST} more: `imgctl diff`")
        if not found.changes:
            lines.append("- nothing but the version")
        lines.append("")
    return "\n".join(lines)


def _told(change: Change) -> str:
    if change.before is None:
        return f"{change.what} {_code(change.name)} is new: {_code(change.after)}"
    if change.after is None:
        return f"{change.what} {_code(change.name)} is gone"
    pair = f"{_code(change.before)} → {_code(change.after)}"
    return f"{change.what} {_code(change.name)}: {pair}"


def _code(text: str | None) -> str:
    """Text as Markdown's code, on one line: file names and settings are somebody's input."""
    plain = visible(text or "", lines=False)
    longest = max((len(run) for run in re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    # A space keeps a backtick at an end from joining the fence; Markdown takes it away again.
    return f"{fence} {plain} {fence}" if longest else f"{fence}{plain}{fence}"
