"""Which engine builds: what the user asked for, or the best that works here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from builder.engines.child import ask
from registry.errors import ImgctlError
from registry.oci import Platform

Wanted = Literal["auto", "buildx", "direct"]

# rawjson progress came with this version.
_OLDEST = (0, 13)


@dataclass(frozen=True)
class Builder:
    """A buildx builder as `docker buildx inspect` describes it.

    usable: whether it can write OCI layouts. why: the reason when it is not, and hint the remedy.
    platforms: what its RUN steps can run on. version: buildx's own.
    """

    name: str
    driver: str = ""
    platforms: tuple[Platform, ...] = ()
    version: str = ""
    usable: bool = False
    why: str = ""
    hint: str = ""

    @property
    def number(self) -> tuple[int, ...]:
        """buildx's version to compare; taken for a new one when it did not say."""
        return _number(self.version) if self.version else (99,)

    def can_run(self, platform: Platform) -> bool:
        """Whether RUN steps for a platform can be run, natively or emulated, as far as is known.

        A builder that has not been started names no platforms.
        """
        fits = not self.platforms or any(item.matches(platform) for item in self.platforms)
        return self.usable and fits


def inspect_builder(name: str, environment: Mapping[str, str]) -> Builder:
    """Ask buildx about a builder (empty: the current one); never raises for what is missing."""
    status, text = ask(["docker", "buildx", "version"], environment)
    if status == 127:
        hint = "install Docker with its buildx plugin, or build with --engine direct"
        return Builder(name, why="there is no docker command", hint=hint)
    if status != 0:
        hint = "install the package docker-buildx (docker-buildx-plugin)"
        return Builder(name, why="docker has no buildx plugin", hint=hint)
    version = re.search(r"\d+\.\d+\.\d+", text)
    shown = version[0] if version else ""
    if version and _number(shown) < _OLDEST:
        hint = "install buildx 0.13 or later"
        return Builder(name, version=shown, why=f"buildx {shown} is too old", hint=hint)
    status, text = ask(["docker", "buildx", "inspect", *([name] if name else [])], environment)
    if status != 0:
        why = text.strip().splitlines()[-1] if text.strip() else "docker buildx inspect failed"
        hint = "start the Docker daemon" if "daemon" in why else "`docker buildx ls` lists builders"
        return Builder(name, version=shown, why=why.removeprefix("ERROR: ")[:200], hint=hint)
    return parse_inspect(text, name, shown)


def parse_inspect(text: str, name: str, version: str) -> Builder:
    """A builder from what `docker buildx inspect` printed."""
    driver = _field(text, "Driver")
    error = _field(text, "Error")
    names = [
        item.strip().rstrip("*")
        for line in re.findall(r"^Platforms:(.*)$", text, re.MULTILINE)
        for item in line.split(",")
        if item.strip()
    ]
    found = tuple(Platform.parse(item) for item in names if item.count("/") in (1, 2))
    builder = Builder(_field(text, "Name") or name, driver, found, version)
    if error:
        return _with(builder, error[:200], "start the Docker daemon or the builder")
    if driver == "docker" and "org.mobyproject.buildkit.worker.snapshotter" not in text:
        hint = (
            "turn on the containerd image store (features.containerd-snapshotter in daemon.json), "
            "or make a builder: docker buildx create --use"
        )
        return _with(builder, "this Docker daemon cannot write OCI layouts", hint)
    return Builder(builder.name, driver, found, version, usable=True)


def choose_engine(wanted: Wanted, builder: Builder | None, only_buildx: str | None) -> str:
    """`buildx` or `direct`. builder: None when nobody asked; only_buildx: why direct cannot.

    Raises ImgctlError when the engine that is needed is not there.
    """
    if wanted == "direct":
        if only_buildx:
            raise ImgctlError(
                "the direct engine cannot build this image",
                only_buildx,
                "build it with --engine buildx",
            )
        return "direct"
    if builder is not None and builder.usable:
        return "buildx"
    if wanted == "auto" and only_buildx is None:
        return "direct"
    why = builder.why if builder else ""
    if wanted == "auto":
        why = f"{only_buildx}; {why}"
    raise ImgctlError(
        "this build needs buildx, which is not usable here", why, builder.hint if builder else ""
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{name}:[ \t]*(.*)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def _with(builder: Builder, why: str, hint: str) -> Builder:
    return Builder(
        builder.name, builder.driver, builder.platforms, builder.version, False, why, hint
    )
