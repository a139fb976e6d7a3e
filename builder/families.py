"""Base image families: the tags NVIDIA published, as builder/data/images.yaml lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tag:
    """One tag that exists, or is thought to, with the evidence for it.

    l4t: the release it was made for (`35.2.1`), or None when it is numbered by something else.
    version: that other number (`24.12`, `11.4.19`), or the framework's (`2.0`).
    runs_on: L4T lines (`36.4`) it is for, when it is not tied to releases.
    serves, fits, on_request: releases an image without an L4T number is documented for, shares its
        CUDA and cuDNN with, and is given for only when its version is asked for.
    evidence: one of the levels of images.yaml; source: a key of its sources.
    disk_mb: unpacked size in 10^6 bytes where someone reported it.
    """

    tag: str
    evidence: str
    source: str
    l4t: str | None = None
    version: str = ""
    flavor: str = ""
    runs_on: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    fits: tuple[str, ...] = ()
    on_request: tuple[str, ...] = ()
    python: str = ""
    digest: str | None = None
    disk_mb: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Fallback:
    """Releases without a tag of their own, the release whose tag serves them, and who says so."""

    releases: tuple[str, ...]
    use: str
    source: str
    why: str = ""


@dataclass(frozen=True)
class Missing:
    """A tag that is often written down and does not exist; `use` is the one that was meant."""

    tag: str
    source: str
    use: str = ""


@dataclass(frozen=True)
class Family:
    """One repository's images of one kind.

    provides: frameworks inside (`pytorch`, `tensorflow`).
    cuda: (first L4T major, who brings CUDA: `host`, `image` or `none`), rising by major.
    modules: ids of the modules it has GPU code for; empty means every module of a release.
    fits_why: why its tags serve the releases they `fit`. then: families to look at instead.
    """

    name: str
    registry: str
    repository: str
    about: str
    provides: tuple[str, ...]
    cuda: tuple[tuple[int, str], ...]
    tags: tuple[Tag, ...]
    fallbacks: tuple[Fallback, ...]
    missing: tuple[Missing, ...]
    numbered_by: str
    modules: tuple[str, ...]
    fits_why: str
    then: tuple[str, ...]

    def cuda_from(self, major: int) -> str:
        """Who brings CUDA for a release of this L4T major: `host`, `image` or `none`."""
        answer = self.cuda[0][1]
        for first, source in self.cuda:
            if major >= first:
                answer = source
        return answer

    def tag(self, name: str) -> Tag | None:
        """The listed tag of this name."""
        return next((tag for tag in self.tags if tag.tag == name), None)


def parse_families(document: Mapping[str, Any]) -> tuple[Family, ...]:
    """Every family of images.yaml, in the file's order."""
    ended = document["ended"]
    return tuple(
        _family(name, raw, tuple(ended.get(name, {}).get("then", ())))
        for name, raw in document["families"].items()
    )


def _family(name: str, raw: Mapping[str, Any], then: tuple[str, ...]) -> Family:
    cuda = raw["cuda"]
    steps = {"0": cuda} if isinstance(cuda, str) else cuda
    return Family(
        name=name,
        registry=raw.get("registry", "nvcr.io"),
        repository=raw["repository"],
        about=raw["about"],
        provides=tuple(raw["provides"]),
        cuda=tuple((int(major), source) for major, source in steps.items()),
        tags=tuple(_tag(tag) for tag in raw["tags"]),
        fallbacks=tuple(
            Fallback(tuple(item["for"]), item["use"], item["source"], item.get("why", ""))
            for item in raw.get("fallbacks", ())
        ),
        missing=tuple(
            Missing(item["tag"], item["source"], item.get("use", ""))
            for item in raw.get("missing", ())
        ),
        numbered_by=raw.get("numbered_by", "L4T"),
        modules=tuple(raw.get("modules", ())),
        fits_why=raw.get("fits_why", ""),
        then=then,
    )


def _tag(raw: Mapping[str, Any]) -> Tag:
    return Tag(
        tag=raw["tag"],
        evidence=raw["evidence"],
        source=raw["source"],
        l4t=raw.get("l4t"),
        version=raw.get("version") or raw.get("torch") or raw.get("tensorflow") or "",
        flavor=raw.get("flavor", ""),
        runs_on=tuple(raw.get("runs_on", ())),
        serves=tuple(raw.get("for", ())),
        fits=tuple(raw.get("fits", ())),
        on_request=tuple(raw.get("on_request", ())),
        python=raw.get("python", ""),
        digest=raw.get("digest"),
        disk_mb=raw.get("disk_mb"),
        note=raw.get("note", ""),
    )
