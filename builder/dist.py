"""The builds that lie in dist/, found by name or folder.

A build is `dist/IMAGE/TAG/`: an OCI layout with the record of its build beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.record import FILE_NAME, BuildRecord
from registry.errors import BadInput, CorruptContent, ImgctlError
from registry.oci import Platform
from registry.reference import check_repository, check_tag, is_digest

_FIELDS = ("image", "tag", "digest", "platform", "layers", "base", "command", "workload")


@dataclass(frozen=True)
class Build:
    """A finished build: the folder with its layout, and its record."""

    folder: Path
    record: BuildRecord

    @classmethod
    def load(cls, folder: Path) -> Build:
        """The build in a folder; raises BadInput when there is none, CorruptContent when its
        record does not say what it should."""
        record = BuildRecord.load(folder)
        try:
            missing = [name for name in _FIELDS if name not in record.value]
            if missing:
                raise ValueError(f"it has no {', '.join(missing)}")
            check_repository(str(record.value["image"]))
            check_tag(str(record.value["tag"]))
            Platform.parse(str(record.value["platform"]))
            if not is_digest(record.digest):
                raise ValueError(f"{record.digest!r} is not a digest")
            record.layers(ours=True)
            _ = [(item["host"], item["repository"]) for item in record.value["base"]["sources"]]
        except (KeyError, TypeError, ValueError, AttributeError, BadInput) as error:
            path = folder / FILE_NAME
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise CorruptContent(f"{path} is not a whole record", why, "build again") from error
        return cls(folder, record)

    @property
    def image(self) -> str:
        """The image's short name."""
        return str(self.record.value["image"])

    @property
    def tag(self) -> str:
        """The tag that names this build for ever."""
        return str(self.record.value["tag"])


def find_builds(dist: Path, names: Sequence[str] = ()) -> list[Build]:
    """The builds that names mean, each once; without names all there are, by name and tag.

    A name is `IMAGE` (all its builds), `IMAGE:TAG`, or a folder. Raises BadInput when one means
    nothing, or when there are no builds at all.
    """
    if not names:
        folders = _folders(dist)
        if not folders:
            raise BadInput(
                f"there are no builds in {dist}", "", "run `imgctl build`, or --dist DIR"
            )
    else:
        folders = [folder for name in names for folder in _named(dist, name)]
    return [Build.load(folder) for folder in dict.fromkeys(folders)]


def known_builds(dist: Path) -> list[Build]:
    """Every build in dist that can be read; none where there is no dist."""
    found = []
    for folder in _folders(dist):
        try:
            found.append(Build.load(folder))
        except (ImgctlError, OSError):
            # What it could have told is asked for elsewhere; its own push says what is wrong.
            continue
    return found


def _folders(place: Path, pattern: str = "*/*") -> list[Path]:
    """Folders of finished builds; those of builds under way begin with a dot."""
    found = (path.parent for path in place.glob(f"{pattern}/{FILE_NAME}"))
    return sorted(path for path in found if not path.name.startswith("."))


def _named(dist: Path, name: str) -> list[Path]:
    image, colon, tag = name.partition(":")
    plain = bool(image) and "/" not in name and image not in (".", "..")
    if plain and colon and (dist / image / tag / FILE_NAME).is_file():
        return [dist / image / tag]
    if plain and not colon and _folders(dist / image, "*"):
        return _folders(dist / image, "*")
    folder = Path(name)
    if folder.name == FILE_NAME:
        folder = folder.parent
    if (folder / FILE_NAME).is_file():
        return [folder]
    if folder.is_dir():
        below = _folders(folder, "*") or _folders(folder)
        if below:
            return below
        if (folder / "oci-layout").is_file():
            raise BadInput(
                f"{folder} is an image without the record of its build",
                f"there is no {FILE_NAME}",
                f"`imgctl copy oci:{folder} HOST/PROJECT/IMAGE:TAG` copies any image",
            )
    raise BadInput(f"there is no build {name!r} in {dist}", _offer(dist), "run `imgctl build`")


def _offer(dist: Path) -> str:
    names = [":".join(folder.parts[-2:]) for folder in _folders(dist)]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"there are {', '.join(names[:8])}{more}" if names else "it is empty"
