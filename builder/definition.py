"""Image definitions: what a team writes to say what goes onto a base.

A definition is a folder with an `image.yaml` and the files it bakes in. `docs/definitions.md`
describes every key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from registry.errors import BadInput

FILE_NAME = "image.yaml"


@dataclass(frozen=True)
class FileEntry:
    """One file that goes into the image.

    source: absolute path on this machine. relative: its path in the build context, `/`-separated.
    target: absolute path in the image. mode: permission bits. uid, gid: numeric owner.
    tree, tree_target: the folder it came with, in the context and in the image; empty for a file
    named by itself.
    """

    source: Path = field(compare=False)
    relative: str
    target: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    tree: str = ""
    tree_target: str = ""


@dataclass(frozen=True)
class Workload:
    """What the program needs to run: `batch` ends by itself, `service` runs on; gpus: 0 or more."""

    kind: str = "batch"
    gpus: int = 0
    host_network: bool = False


@dataclass(frozen=True)
class ImageDefinition:
    """A validated image.yaml.

    bases: base families it can be built on, the default first. framework: `pytorch`, `tensorflow`
    or None; families that hold it need nothing installed, on others it is. pip, apt: packages in
    their tools' own syntax. env: pairs in order. command: exec form. directory: where it lies.
    """

    name: str
    version: str
    description: str
    framework: str | None
    bases: tuple[str, ...]
    files: tuple[FileEntry, ...]
    pip: tuple[str, ...]
    apt: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    command: tuple[str, ...]
    workload: Workload
    directory: Path = field(compare=False)


def load(directory: Path) -> ImageDefinition:
    """The definition in a folder; raises BadInput that names the file, the key and the remedy."""
    from builder.definition_check import check
    from builder.definition_yaml import read_mapping

    path = directory / FILE_NAME
    return check(read_mapping(path), directory, path)


def find(name: str, roots: Sequence[Path]) -> ImageDefinition:
    """The definition of this name in the first of several roots that has it.

    A name with a slash or a dot is the folder itself. Raises BadInput with the nearest names.
    """
    given = Path(name)
    if ("/" in name or name in (".", "..")) and (given / FILE_NAME).is_file():
        return load(given)
    folders = folders_of(roots)
    for folder in folders:
        if folder.name == name:
            return _load_named(folder)
    from difflib import get_close_matches

    known = sorted({folder.name for folder in folders})
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "run `imgctl images` to list them"
    raise BadInput(f"there is no image {name!r}", f"there are: {', '.join(known) or 'none'}", hint)


def catalogue(roots: Sequence[Path]) -> tuple[ImageDefinition, ...]:
    """Every definition of the roots by name; the first root that has a name gives it."""
    chosen: dict[str, Path] = {}
    for folder in folders_of(roots):
        chosen.setdefault(folder.name, folder)
    return tuple(_load_named(chosen[name]) for name in sorted(chosen))


def _load_named(folder: Path) -> ImageDefinition:
    """The definition of a catalogue's folder, which an image is found by: both have one name."""
    definition = load(folder)
    if definition.name != folder.name:
        raise BadInput(
            f"`name` in {folder / FILE_NAME} is {definition.name!r}, its folder is {folder.name!r}",
            "in a catalogue an image is found by its folder",
            "give both the same name",
        )
    return definition


def folders_of(roots: Sequence[Path]) -> list[Path]:
    """The folders below the roots that hold a definition, root by root, sorted within."""
    return [path.parent for root in roots for path in sorted(root.glob(f"*/{FILE_NAME}"))]
