"""TensorFlow on a base that has none: by name and exact version from NVIDIA's index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.matrix import L4TRelease, covers
from builder.recipes.values import Installation, PipStep
from registry.errors import Refused


def installation(data: Mapping[str, Any], release: L4TRelease, version: str | None) -> Installation:
    """How TensorFlow is installed for a release.

    data: tensorflow.yaml. version: `2.16.1+nv24.08` or a beginning of it; the preferred one if
    None. Raises Refused where NVIDIA published none, or not that one.
    """
    if _matches(data["none"]["lines"], release):
        none = data["none"]
        raise Refused(f"there is no TensorFlow for {release.name}", none["why"], none["hint"])
    name, folder = _folder(data, release)
    chosen = _version(folder, release, version)
    around = next(raw for raw in data["around"] if _matches(raw["lines"], release))
    return Installation(
        version=chosen,
        apt=(*data["apt"], *around["apt"]),
        before=(
            *(PipStep(tuple(group)) for group in (around["tools"], around["pins"]) if group),
            *(_alone(raw) for raw in around["alone"]),
        ),
        wheels=(),
        after=(
            PipStep(
                (f"{folder['package']}=={chosen}",),
                extra_index_url=data["index"].format(folder=name),
            ),
        ),
        symlinks=tuple(around.get("links", {}).items()),
        only_binary=not around["sources"],
        notes=_notes(folder, around),
    )


def versions_for(data: Mapping[str, Any], release: L4TRelease) -> tuple[str, ...]:
    """Every version known for a release, the preferred one first; empty where there is none."""
    if _matches(data["none"]["lines"], release):
        return ()
    _, folder = _folder(data, release)
    preferred = _version(folder, release, None)
    return (preferred, *(item for item in folder["versions"] if item != preferred))


def status_for(data: Mapping[str, Any], release: L4TRelease) -> str:
    """`alive` or `likely`: what is known of the release's index folder."""
    _, folder = _folder(data, release)
    return str(folder["status"])


def _folder(data: Mapping[str, Any], release: L4TRelease) -> tuple[str, Mapping[str, Any]]:
    return next(
        (name, folder)
        for name, folder in data["folders"].items()
        if _matches(folder["lines"], release)
    )


def _version(folder: Mapping[str, Any], release: L4TRelease, version: str | None) -> str:
    if version is None:
        early = folder.get("early")
        chosen: str = folder["prefer"]
        return early["prefer"] if early and _matches(early["lines"], release) else chosen
    for known in reversed(folder["versions"]):
        if known == version or known.startswith((f"{version}.", f"{version}+")):
            return str(known)
    raise Refused(
        f"there is no TensorFlow {version} for {release.name}",
        f"NVIDIA's index has: {', '.join(folder['versions'])}",
        "choose one of these",
    )


def _alone(raw: Mapping[str, Any]) -> PipStep:
    return PipStep(tuple(raw["packages"]), flags=tuple(raw["flags"]), env=tuple(raw["env"].items()))


def _matches(patterns: list[str], release: L4TRelease) -> bool:
    return any(covers(pattern, release.version) for pattern in patterns)


def _notes(folder: Mapping[str, Any], around: Mapping[str, Any]) -> tuple[str, ...]:
    notes = [folder["note"]] if folder.get("note") else []
    if around["sources"]:
        notes.append(
            "some pinned packages have no aarch64 wheel and are compiled: slow in emulation"
        )
    return tuple(notes)
