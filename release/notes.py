"""Release notes: what was released, for which devices, and what changed since the last time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.dist import Build
from release.diff import Change
from release.record import ReleaseRecord

_MOST = 30  # changes told one by one


@dataclass(frozen=True)
class Since:
    """What changed since an earlier version, for one L4T release."""

    version: str
    changes: Sequence[Change]


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
        return f"{change.what} `{change.name}` is new: `{change.after}`"
    if change.after is None:
        return f"{change.what} `{change.name}` is gone"
    return f"{change.what} `{change.name}`: `{change.before}` → `{change.after}`"
