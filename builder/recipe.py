"""The recipe: what must be put on a base so that it holds a framework.

From builder/data/{pytorch,tensorflow,apt}.yaml. A base that holds the framework already gets a
recipe of environment only. A combination with no living wheel is refused with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from builder.bases import BaseImage
from builder.matrix import DATA, L4TRelease, Matrix, read_data
from builder.recipes import cuda, pytorch, tensorflow
from builder.recipes.values import AptSource, Archive, Installation, PipStep, Wheel
from registry.errors import BadInput, Refused

__all__ = ["AptSource", "Archive", "PipStep", "Recipe", "Wheel", "find"]

# What stands for itself in a Dockerfile's ADD and in a shell; the rest can be written as %24.
_PLAIN_URL = re.compile(r"[A-Za-z0-9._~:/%@+,=!&;()\[\]-]+", re.ASCII)

PROTECTED = {
    "pytorch": ("torch", "torchvision", "torchaudio"),
    "tensorflow": ("tensorflow", "tensorflow-gpu", "keras"),
}


@dataclass(frozen=True)
class Recipe:
    """What the Dockerfile of an image needs beyond its own files, in the order it is done.

    apt: packages of the distribution. apt_source: NVIDIA's suite, to be written before nvidia_apt
    is installed; None where the base carries it. hold: package patterns that must stay out.
    archives: unpacked under /opt, their lib folder given to the loader. symlinks: (path, target).
    driver_directories: to be listed in ld.so.conf.d.
    before: pip steps ahead of the wheels; wheels: torch, then torchvision; after: pip steps behind.
    pip_flags: for every pip install, the user's own included. only_binary: whether pip may take
    wheels alone. protected: distributions no later step may replace.
    torchvision_why: why there is no torchvision wheel, empty if there is one.
    env: ENV in order; values may refer to ${PATH}. notes: what to tell the user.
    """

    framework: str | None
    version: str
    apt: tuple[str, ...] = ()
    apt_source: AptSource | None = None
    nvidia_apt: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    symlinks: tuple[tuple[str, str], ...] = ()
    driver_directories: tuple[str, ...] = ()
    before: tuple[PipStep, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    after: tuple[PipStep, ...] = ()
    pip_flags: tuple[str, ...] = ()
    only_binary: bool = True
    protected: tuple[str, ...] = ()
    torchvision_why: str = ""
    env: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def installs(self) -> bool:
        """Whether anything runs in the image; False means environment only."""
        return bool(self.wheels or self.after or self.apt or self.nvidia_apt)

    @property
    def needs_source(self) -> bool:
        """Whether NVIDIA's apt line has to be written first."""
        return self.apt_source is not None

    def with_mirror(self, url: str) -> Recipe:
        """The same recipe with every wheel and archive taken from a team's own store.

        url: its folder; a file is looked for at URL/<exact file name>. Packages that come by index
        are looked for there too (pip --find-links), and no longer in NVIDIA's.
        Raises BadInput for anything but an http(s) URL without credentials.
        """
        base = _checked_mirror(url)
        return replace(
            self,
            wheels=tuple(replace(item, url=f"{base}/{item.file}") for item in self.wheels),
            archives=tuple(replace(item, url=f"{base}/{item.file}") for item in self.archives),
            after=tuple(
                replace(step, extra_index_url="", find_links=f"{base}/")
                if step.extra_index_url
                else step
                for step in self.after
            ),
            notes=tuple(note for note in self.notes if "--wheel-mirror" not in note),
        )


def find(
    matrix: Matrix,
    release: L4TRelease,
    framework: str | None,
    base: BaseImage,
    *,
    version: str | None = None,
    folder: Path = DATA,
) -> Recipe:
    """The recipe for a framework (`pytorch`, `tensorflow` or None) on a base, for a release.

    version: another than the preferred wheel of the release (`2.0`), only where one is installed.
    Raises Refused when no wheel lives or the base holds another framework, BadInput for a framework
    nobody knows.
    """
    _check_framework(framework, base)
    apt_data = read_data("apt.yaml", folder)
    installs = framework is not None and not base.provides
    env = matrix.env(release) | cuda.environment(apt_data, release, base, installs=installs)
    common = Recipe(
        framework=framework,
        version=base.framework_version if framework else "",
        # Bases of r32 carry no source of NVIDIA's, so apt cannot find what is held there.
        hold=tuple(apt_data["hold"]) if release.major >= 34 else (),
        pip_flags=("--break-system-packages",) if _managed_externally(base) else (),
        protected=tuple(name for held in base.provides for name in PROTECTED[held]),
        env=tuple(env.items()),
    )
    if framework is None or base.provides:
        return common
    if framework == "pytorch":
        data = read_data("pytorch.yaml", folder)
        part = pytorch.installation(data, apt_data, release, version)
    else:
        part = tensorflow.installation(read_data("tensorflow.yaml", folder), release, version)
    libraries = cuda.cuda_packages(apt_data, release, base)
    return replace(
        _with_installation(common, part, base),
        apt_source=libraries.source,
        nvidia_apt=libraries.packages,
        driver_directories=cuda.driver_directories(apt_data, release, base),
        protected=PROTECTED[framework],
    )


def check_lives(release: L4TRelease, framework: str | None, folder: Path = DATA) -> None:
    """Raise Refused, with the reason, when no wheel of a framework lives for a release."""
    if framework == "pytorch":
        apt_data = read_data("apt.yaml", folder)
        pytorch.installation(read_data("pytorch.yaml", folder), apt_data, release, None)
    elif framework == "tensorflow":
        tensorflow.installation(read_data("tensorflow.yaml", folder), release, None)


def _check_framework(framework: str | None, base: BaseImage) -> None:
    if framework is not None and framework not in PROTECTED:
        raise BadInput(f"there is no framework {framework!r}", "", "write pytorch or tensorflow")
    if framework and base.provides and framework not in base.provides:
        raise Refused(
            f"{base.reference} has no {framework}",
            f"it holds {' and '.join(base.provides)}",
            "choose another --base; l4t-base takes any framework",
        )


def _with_installation(common: Recipe, part: Installation, base: BaseImage) -> Recipe:
    return replace(
        common,
        version=part.version,
        apt=_distribution_packages(part, base),
        archives=part.archives,
        symlinks=part.symlinks,
        before=part.before,
        wheels=part.wheels,
        after=part.after,
        only_binary=part.only_binary,
        torchvision_why=part.torchvision_why,
        notes=part.notes,
    )


def _distribution_packages(part: Installation, base: BaseImage) -> tuple[str, ...]:
    # Plain Ubuntu cannot read an https apt source, nor pip its index, without these.
    return part.apt if base.registry == "nvcr.io" else ("ca-certificates", *part.apt)


def _managed_externally(base: BaseImage) -> bool:
    """PEP 668: from Ubuntu 24.04 (Python 3.12) on, pip refuses the system Python."""
    major, minor = (int(part) for part in base.python.split("."))
    return (major, minor) >= (3, 12)


def _checked_mirror(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url!r} is not a wheel mirror", "", "write https://HOST/FOLDER")
    if parts.username or parts.password:
        raise BadInput(
            "the wheel mirror's URL holds credentials",
            "they would be written into the Dockerfile and the image's history",
            "let the mirror be read without them, or from the build's own network",
        )
    if parts.query or parts.fragment or not _PLAIN_URL.fullmatch(url):
        raise BadInput(f"{url!r} is not a folder's URL", "", "write https://HOST/FOLDER")
    return url.rstrip("/")
