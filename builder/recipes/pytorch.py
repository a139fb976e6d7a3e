"""PyTorch on a base that has none: the wheel by URL, its torchvision, and what goes around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from builder.matrix import L4TRelease, covers
from builder.recipes.cuda import cusparselt
from builder.recipes.values import Installation, PipStep, Wheel
from registry.errors import Refused


def installation(
    data: Mapping[str, Any],
    apt_data: Mapping[str, Any],
    release: L4TRelease,
    version: str | None,
) -> Installation:
    """How PyTorch is installed for a release.

    data: pytorch.yaml; apt_data: apt.yaml. version: the wheel's, or a beginning of it (`2.0`); the
    preferred one if None. Raises Refused, naming the versions there are, when there is none.
    """
    raw = _choose(data, release, version)
    torch = _wheel(data, raw, "torch", raw["torch"])
    vision = _vision(data, raw)
    around = data["around"][release.major]
    needs = raw.get("needs", ())
    why_none = "" if vision else data["vision_build"]["why"]
    after = [*around.get("deps", ()), *(data["vision_deps"] if vision else ())]
    return Installation(
        version=raw["torch"],
        apt=(*around["apt"], *raw.get("apt", ())),
        before=tuple(
            PipStep(tuple(packages)) for packages in (around["tools"], around["pins"]) if packages
        ),
        wheels=(torch, vision) if vision else (torch,),
        after=(PipStep(tuple(after)),) if after else (),
        archives=(cusparselt(apt_data),) if "cusparselt" in needs else (),
        torchvision_why=why_none,
        notes=_notes(torch, vision, why_none),
    )


def wheels_for(data: Mapping[str, Any], release: L4TRelease) -> tuple[Wheel, ...]:
    """Every torch wheel known for a release, the preferred one first."""
    rows = sorted(_rows(data, release), key=lambda raw: not _preferred(raw, release))
    return tuple(_wheel(data, raw, "torch", raw["torch"]) for raw in rows)


def addresses(data: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """(URL, file name, L4T patterns it is for) of every torch wheel, its copies elsewhere too."""
    for raw in data["wheels"]:
        for place in (raw["at"], *raw.get("mirrors", ())):
            yield _url(data, place, raw["file"]), raw["file"], raw["lines"]


def _rows(data: Mapping[str, Any], release: L4TRelease) -> list[Mapping[str, Any]]:
    return [raw for raw in data["wheels"] if _matches(raw["lines"], release)]


def _choose(data: Mapping[str, Any], release: L4TRelease, version: str | None) -> Mapping[str, Any]:
    rows = _rows(data, release)
    if version is None:
        chosen = [raw for raw in rows if _preferred(raw, release)]
    else:
        # The last of several is the newest: the file is in order.
        chosen = [raw for raw in rows if _is_version(raw["torch"], version)][-1:]
    if chosen:
        return chosen[0]
    known = ", ".join(dict.fromkeys(raw["torch"] for raw in rows))
    raise Refused(
        f"there is no PyTorch {version or 'wheel'} for {release.name}",
        f"wheels are known of: {known}" if known else "",
        "`imgctl l4t " + release.name + "` lists what there is",
    )


def _is_version(full: str, wanted: str) -> bool:
    return full == wanted or full.startswith((f"{wanted}.", f"{wanted}+", f"{wanted}a"))


def _preferred(raw: Mapping[str, Any], release: L4TRelease) -> bool:
    return _matches(raw.get("prefer", ()), release)


def _matches(patterns: tuple[str, ...] | list[str], release: L4TRelease) -> bool:
    return any(covers(pattern, release.version) for pattern in patterns)


def _vision(data: Mapping[str, Any], raw: Mapping[str, Any]) -> Wheel | None:
    for vision in data["vision_wheels"]:
        if vision["for"] == raw["torch"]:
            return _wheel(data, {**vision, "needs": ["no_deps"]}, "torchvision", vision["vision"])
    return None


def _wheel(data: Mapping[str, Any], raw: Mapping[str, Any], name: str, version: str) -> Wheel:
    return Wheel(
        name=name,
        version=version,
        url=_url(data, raw["at"], raw["file"]),
        file=raw["file"],
        sha256=raw.get("sha256"),
        status=raw["status"],
        source=data["sources"][raw["source"]],
        no_deps="no_deps" in raw.get("needs", ()),
        mirrors=tuple(_url(data, at, raw["file"]) for at in raw.get("mirrors", ())),
        note=raw.get("note", ""),
    )


def _url(data: Mapping[str, Any], at: str, file: str) -> str:
    """`redist/v61/pytorch/` is a folder of a host the file lies in, `box/abc.whl` a whole path."""
    host, _, path = at.partition("/")
    return f"{data['hosts'][host]}/{path}{file if at.endswith('/') else ''}"


def _notes(torch: Wheel, vision: Wheel | None, why_none: str) -> tuple[str, ...]:
    notes = [f"torch {torch.version}: {torch.note}"] if torch.note else []
    for wheel in (torch, vision):
        if wheel is None:
            continue
        if wheel.status == "fragile":
            host = wheel.url.split("/")[2]
            notes.append(
                f"{wheel.file} comes from {host}, which fails at times: use --wheel-mirror"
            )
        if wheel.sha256 is None:
            notes.append(f"no checksum of {wheel.file} is published: a --wheel-mirror pins it")
    if why_none:
        notes.append(f"torchvision is not in it: {why_none}")
    return tuple(notes)
