"""What is known of L4T: releases, modules, base images and host rules, from builder/data/.

Nothing here reaches for the network, and nothing is guessed: a release that is not in the data is
an error that names the nearest ones, never a default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from builder.families import Family, parse_families
from registry.errors import BadInput

DATA = Path(__file__).parent / "data"
FIRST_L4T_MAJOR = 32

Number = tuple[int, ...]

_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,2}")
_L4T = re.compile(r"(?:l4t)?r?(\d{2}(?:\.\d{1,3}){0,2})")
_JETPACK = re.compile(r"(?:jetpack|jp)?(\d(?:\.\d{1,3}){0,2}(?:dp|ea|rev\d)?)")


@cache
def number(version: str) -> Number:
    """`35.2.1` as (35, 2, 1). Raises ValueError for anything but up to three numbers."""
    if not _NUMBER.fullmatch(version):
        raise ValueError(f"{version!r} is not a version")
    return tuple(int(part) for part in version.split("."))


def covers(pattern: str, version: str) -> bool:
    """Whether a release falls under a pattern: `35`, `35.2`, `35.2.1`, or a range `36.2..36.3`."""
    low, _, high = pattern.partition("..")
    first, last, given = number(low), number(high or low), number(version)
    return given[: len(first)] >= first and given[: len(last)] <= last


@dataclass(frozen=True)
class Module:
    """A Jetson module. sm: compute capability times ten (87).

    soc, boards: as in the device tree (`tegra234`, `p3767-0003`).
    """

    id: str
    names: tuple[str, ...]
    soc: str
    boards: tuple[str, ...]
    sm: int
    majors: tuple[int, ...]
    since: str
    note: str


@dataclass(frozen=True)
class L4TRelease:
    """One Jetson Linux release and what its JetPack holds.

    version: `35.2.1`; jetpack: `5.1` (`6.0 DP`, `6.1 rev1` for previews and revisions);
    python: the distribution's, `3.8`; cuda, cudnn, tensorrt: versions, None where unknown;
    modules: ids of the modules it runs on; sm: their compute capabilities times ten;
    source, confidence (`high`, `medium`, `low`) and note: where this is from, and its caveats.
    """

    version: str
    jetpack: str
    ubuntu: str
    python: str
    cuda: str
    cudnn: str | None
    tensorrt: str | None
    modules: tuple[str, ...]
    sm: tuple[int, ...]
    source: str
    confidence: str
    note: str

    @property
    def name(self) -> str:
        """`r35.2.1`, as tags and users write it."""
        return f"r{self.version}"

    @property
    def number(self) -> Number:
        """(35, 2, 1)."""
        return number(self.version)

    @property
    def line(self) -> tuple[int, int]:
        """(35, 2): releases of a line share an apt suite."""
        return self.number[0], self.number[1]

    @property
    def major(self) -> int:
        """35."""
        return self.number[0]


@dataclass(frozen=True)
class HostRule:
    """Which images a host of some releases runs; see host_rules.py.

    bound: what the boundary guards: `host-libraries`, `driver`, `cuda` or `gpu`.
    """

    hosts: tuple[str, ...]
    runs: tuple[str, ...]
    bound: str
    why: str


@dataclass(frozen=True)
class PluginVersion:
    """First version of NVIDIA's k8s-device-plugin that works on hosts of some releases."""

    hosts: tuple[str, ...]
    version: str
    why: str


@dataclass(frozen=True)
class Matrix:
    """All of it, immutable. Load once and pass it on."""

    releases: tuple[L4TRelease, ...]
    modules: tuple[Module, ...]
    families: tuple[Family, ...]
    host_rules: tuple[HostRule, ...]
    runtime_env: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]
    device_plugin: tuple[PluginVersion, ...]
    sources: Mapping[str, str]
    evidence: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path = DATA) -> Matrix:
        """Read l4t.yaml and images.yaml of a folder (the package's own unless given)."""
        l4t = read_data("l4t.yaml", folder)
        images = read_data("images.yaml", folder)
        modules = tuple(_module(key, raw) for key, raw in l4t["modules"].items())
        return cls(
            releases=tuple(_release(raw, l4t["lines"], modules) for raw in l4t["releases"]),
            modules=modules,
            families=parse_families(images),
            host_rules=tuple(
                HostRule(tuple(raw["hosts"]), tuple(raw["runs"]), raw["bound"], raw["why"])
                for raw in l4t["host_rules"]
            ),
            runtime_env=tuple(
                (int(major), tuple(env.items())) for major, env in l4t["runtime_env"].items()
            ),
            device_plugin=tuple(
                PluginVersion(tuple(raw["hosts"]), raw["version"], raw["why"])
                for raw in l4t["device_plugin"]
            ),
            sources={**l4t["sources"], **images["sources"]},
            evidence=images["evidence"],
        )

    def release(self, text: str) -> L4TRelease:
        """The release a user means: `r35.2.1`, `35.2.1`, `jetpack-5.1`, `jp5.1.3`, `6.1 rev1`.

        A JetPack that names several L4T releases gives the newest (`chosen` says so).
        Raises BadInput with the nearest releases for anything unknown.
        """
        return self._candidates(text)[-1]

    def chosen(self, text: str) -> str:
        """A line for the user when text named several releases, else an empty string."""
        found = self._candidates(text)
        if len(found) == 1:
            return ""
        names = ", ".join(release.name for release in found)
        return f"JetPack {found[0].jetpack} is {names}: taking {found[-1].name}"

    def known(self, version: str) -> L4TRelease | None:
        """The release of this exact version (`35.2.1`)."""
        return next((item for item in self.releases if item.version == version), None)

    def family(self, name: str) -> Family:
        """The base image family of this name; BadInput with the nearest otherwise."""
        for family in self.families:
            if family.name == name:
                return family
        from difflib import get_close_matches

        names = [family.name for family in self.families]
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"families: {', '.join(names)}"
        raise BadInput(f"there is no base family {name!r}", "", hint)

    def module(self, name: str) -> Module:
        """The module of this id; KeyError otherwise."""
        return next(module for module in self.modules if module.id == name)

    def env(self, release: L4TRelease) -> dict[str, str]:
        """Environment every image for this release needs at run time, whatever its base."""
        return {
            key: value
            for major, pairs in self.runtime_env
            if major == release.major
            for key, value in pairs
        }

    def plugin_version(self, release: L4TRelease) -> PluginVersion:
        """The oldest k8s-device-plugin that finds the GPU of a host of this release."""
        return next(
            item
            for item in self.device_plugin
            if any(covers(pattern, release.version) for pattern in item.hosts)
        )

    def _candidates(self, text: str) -> list[L4TRelease]:
        wanted = re.sub(r"[\s_-]+", "", text.strip().lower())
        if match := _L4T.fullmatch(wanted):
            found = [item for item in self.releases if item.version == match[1]]
        elif match := _JETPACK.fullmatch(wanted):
            found = [item for item in self.releases if _squeeze(item.jetpack) == match[1]]
        else:
            raise BadInput(
                f"{text!r} is not an L4T release or JetPack version",
                "",
                "write r35.2.1 or jetpack-5.1; `imgctl l4t` lists all",
            )
        if not found:
            is_l4t = _L4T.fullmatch(wanted) is not None
            kind = "L4T release" if is_l4t else "JetPack version"
            near = self._nearest_l4t(match[1]) if is_l4t else self._nearest_jetpack(match[1])
            raise BadInput(
                f"there is no {kind} {text.strip()!r} in the matrix",
                f"nearest: {', '.join(near)}",
                "`imgctl l4t` lists all",
            )
        return found

    def _nearest_l4t(self, version: str) -> list[str]:
        given = number(version)
        same_line = [item.name for item in self.releases if item.number[: len(given)] == given]
        if len(given) < 3 and same_line:
            return same_line
        below = [item for item in self.releases if item.number < given]
        above = [item for item in self.releases if item.number > given]
        return [f"{item.name} (JetPack {item.jetpack})" for item in below[-1:] + above[:1]]

    def _nearest_jetpack(self, version: str) -> list[str]:
        names = list(dict.fromkeys(item.jetpack for item in self.releases))
        starts = [name for name in names if _squeeze(name).startswith(version)]
        if starts:
            return [f"jetpack-{name.replace(' ', '-').lower()}" for name in starts]
        given = number(re.split(r"[a-z]", version)[0])
        below = [name for name in names if _jetpack_number(name) <= given]
        above = [name for name in names if _jetpack_number(name) > given]
        return [f"jetpack-{name.replace(' ', '-').lower()}" for name in below[-1:] + above[:1]]


@cache
def read_data(name: str, folder: Path = DATA) -> Any:
    """One data file, parsed once, and by libyaml where PyYAML has it; not to be changed."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((folder / name).read_text("utf-8"), Loader=loader)  # noqa: S506 - safe loaders both


def _squeeze(jetpack: str) -> str:
    return jetpack.replace(" ", "").lower()


def _jetpack_number(jetpack: str) -> Number:
    return number(jetpack.split(" ")[0])


def _module(key: str, raw: Mapping[str, Any]) -> Module:
    return Module(
        id=key,
        names=tuple(raw["names"]),
        soc=raw["soc"],
        boards=tuple(raw["boards"]),
        sm=raw["sm"],
        majors=tuple(raw["majors"]),
        since=raw.get("since", ""),
        note=raw.get("note", ""),
    )


def _release(
    raw: Mapping[str, Any], lines: Mapping[int, Any], modules: tuple[Module, ...]
) -> L4TRelease:
    shared = lines[number(raw["l4t"])[0]]
    on = tuple(raw.get("modules", shared["modules"]))
    return L4TRelease(
        version=raw["l4t"],
        jetpack=raw["jetpack"],
        ubuntu=shared["ubuntu"],
        python=shared["python"],
        cuda=raw["cuda"],
        cudnn=raw["cudnn"],
        tensorrt=raw["tensorrt"],
        modules=on,
        sm=tuple(sorted({module.sm for module in modules if module.id in on})),
        source=raw["source"],
        confidence=raw.get("confidence", "high"),
        note=raw.get("note", ""),
    )
