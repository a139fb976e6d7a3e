"""Which tags a release gets, and which of them may move.

One tag names one build for ever (`1.4.0-l4t-r35.2.1`). The readable ones (`1.4.0`, `1.4`, `1`,
`latest`) follow the newest release of the image's default L4T line: only forward, and never to a
pre-release (semver.org, 2.0.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from semver import Version

from registry.errors import BadInput, Refused

BUMPS = ("major", "minor", "patch", "pre")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # OCI distribution spec 1.1
_FIELD = re.compile(r"\{([a-z0-9_]*)\}")
_FIELDS = ("version", "major", "minor", "patch", "l4t")


@dataclass(frozen=True)
class TagScheme:
    """How tags are made. fixed: names one build for ever. moving: follow the newest release.

    Fields in braces: version, major, minor, patch, l4t (`r35.2.1`).
    """

    fixed: str = "{version}-l4t-{l4t}"
    moving: tuple[str, ...] = ("{version}", "{major}.{minor}", "{major}", "latest")

    @classmethod
    def parse(cls, section: Mapping[str, Any]) -> TagScheme:
        """The scheme of a `tags` section with `fixed` and `moving`; raises BadInput."""
        unknown = [key for key in section if key not in ("fixed", "moving")]
        if unknown:
            raise BadInput(f"unknown key `tags.{unknown[0]}`", "", "keys: fixed, moving")
        fixed = section.get("fixed", cls.fixed)
        moving = section.get("moving", list(cls.moving))
        if not isinstance(fixed, str) or not isinstance(moving, list):
            raise BadInput("`tags.fixed` must be text and `tags.moving` a list of texts")
        for pattern in (fixed, *moving):
            _check_pattern(pattern)
        if "{version}" not in fixed or "{l4t}" not in fixed:
            why = "two builds would share a tag"
            raise BadInput("`tags.fixed` must hold {version} and {l4t}", why)
        return cls(fixed, tuple(moving))

    def fixed_tag(self, version: Version, l4t: str) -> str:
        """The tag that names one build for ever."""
        return _filled(self.fixed, version, l4t)

    def parse_fixed(self, tag: str) -> tuple[Version, str] | None:
        """The version and L4T release a tag names for ever; None for any other tag."""
        match = re.fullmatch(_pattern(self.fixed), tag)
        if match is None or not Version.is_valid(match["version"]):
            return None
        return Version.parse(match["version"]), match["l4t"]

    def versions(self, tags: Iterable[str], l4t: str) -> list[Version]:
        """The versions released for one L4T release, lowest first, found in a list of tags."""
        found = (self.parse_fixed(tag) for tag in tags)
        return sorted(version for version, name in filter(None, found) if name == l4t)

    def moving_tags(
        self,
        version: Version,
        l4t: str,
        released: Iterable[Version],
        elsewhere: Iterable[Version] = (),
    ) -> list[str]:
        """The readable tags that version takes over, the least specific last.

        released: the versions that are released for this L4T release, or go with this one.
        elsewhere: those for other releases of the default line; an equal one keeps its tags.
        """
        if version.prerelease:
            return []
        own = [item for item in released if not item.prerelease]
        others = [item for item in elsewhere if not item.prerelease]
        tags = []
        for pattern in self.moving:
            tag = _filled(pattern, version, l4t)
            rivals = [item for item in others if _filled(pattern, item, l4t) == tag]
            earlier = [item for item in own if _filled(pattern, item, l4t) == tag]
            if all(version > item for item in rivals) and all(version >= item for item in earlier):
                tags.append(tag)
        return list(dict.fromkeys(tags))


def next_version(released: Iterable[Version], bump: str, first: Version) -> Version:
    """The version after the highest released one; the first one when nothing is released.

    bump: `major`, `minor`, `patch`, or `pre`: the next pre-release of the next patch. first: what
    the definition says; for `pre` its first pre-release.
    """
    last = max(released, default=None)
    if last is None:
        if bump == "pre" and not first.prerelease:
            return first.replace(prerelease="rc.1")
        return first
    match bump:
        case "major":
            return last.finalize_version() if _starts(last, "major") else last.bump_major()
        case "minor":
            return last.finalize_version() if _starts(last, "minor") else last.bump_minor()
        case "patch":
            return last.finalize_version() if last.prerelease else last.bump_patch()
        case "pre":
            return (last if last.prerelease else last.bump_patch()).bump_prerelease("rc")
    raise BadInput(f"{bump!r} is no part of a version", "", f"one of {', '.join(BUMPS)}")


def check_above(version: Version, released: Iterable[Version], *, backport: bool = False) -> None:
    """Raise Refused when a version is not above every released one, unless it is a backport."""
    last = max(released, default=None)
    if last is not None and version < last and not backport:
        raise Refused(
            f"version {version} is below {last}, which is released",
            "versions only go up",
            f"release {last.bump_patch()} or above, or say --backport to keep an older line alive",
        )


def parse_version(text: str) -> Version:
    """A version that can be part of a tag; raises BadInput."""
    if not Version.is_valid(text):
        raise BadInput(f"{text!r:.80} is not a semantic version", "", "like 1.4.0 or 2.0.0-rc.1")
    version = Version.parse(text)
    if version.build:
        raise BadInput(
            f"version {text} has build metadata", "a tag cannot hold '+'", "leave it out"
        )
    return version


def _pattern(fixed: str) -> str:
    """A regular expression for tags made by a scheme."""
    text = re.escape(fixed).replace(r"\{", "{").replace(r"\}", "}")
    text = text.replace("{version}", "(?P<version>.+)", 1).replace("{l4t}", r"(?P<l4t>r[0-9.]+)", 1)
    return _FIELD.sub(".+", text)


def _starts(version: Version, part: str) -> bool:
    """Whether a pre-release leads up to a new major or minor version."""
    return (
        bool(version.prerelease) and version.patch == 0 and (part == "minor" or not version.minor)
    )


def _check_pattern(pattern: object) -> None:
    if not isinstance(pattern, str):
        raise BadInput(f"{pattern!r:.60} in `tags` is no text")
    wrong = [name for name in _FIELD.findall(pattern) if name not in _FIELDS]
    if wrong:
        known = ", ".join(f"{{{name}}}" for name in _FIELDS)
        raise BadInput(f"`tags` names the field {{{wrong[0]}}}", "", f"fields: {known}")
    if not _TAG.fullmatch(_FIELD.sub("1", pattern)):
        raise BadInput(f"{pattern!r:.60} in `tags` makes no valid tag", "OCI distribution spec 1.1")


def _filled(pattern: str, version: Version, l4t: str) -> str:
    values = {
        "version": str(version),
        "major": str(version.major),
        "minor": str(version.minor),
        "patch": str(version.patch),
        "l4t": l4t,
    }
    return _FIELD.sub(lambda match: values[match[1]], pattern)
