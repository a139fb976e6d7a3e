"""What an image adds to its base, read from its own layers: files, and the packages they make up.

The layers are the truth, whichever engine wrote them and whatever ran in them; the build record
adds where wheels came from. The base is named by digest and not looked into: what is in
it is for its maker to say.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from builder.debian_metadata import debian_packages, is_debian_metadata
from builder.python_metadata import Distribution, normalized, read_metadata, read_record_paths
from builder.record import BuildRecord
from registry.errors import BadInput, CorruptContent
from registry.layout import LayoutStore
from registry.oci import Descriptor
from registry.reference import Reference
from registry.signing.purl import debian_purl, wheel_purl

_CHUNK = 1 << 20  # bytes
_LARGEST_METADATA = 8 << 20  # bytes
_LICENSES = "org.opencontainers.image.licenses"


@dataclass(frozen=True)
class AddedFile:
    """A file with content. path: without a leading slash. size: bytes. sha1, sha256: hex."""

    path: str
    size: int
    sha1: str
    sha256: str


@dataclass(frozen=True)
class Package:
    """A Python or Debian package. purl: its package URL. paths: the files that are its own.

    license: an SPDX expression, or empty; stated: its own words instead. file, sha256: the wheel
    it came from and its hex digest, where the build record knows.
    """

    name: str
    version: str
    purl: str
    license: str = ""
    stated: str = ""
    file: str = ""
    sha256: str = ""
    paths: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inventory:
    """Everything an SBOM says.

    reference: the image where it lies, pinned; base: likewise. created: RFC 3339. license: of the
    image's own code, an SPDX expression or empty. tool: `imgctl-1.0.0`.
    """

    name: str
    version: str
    description: str
    reference: Reference
    digest: str
    base: Reference
    base_digest: str
    architecture: str
    created: str
    license: str
    tool: str
    files: tuple[AddedFile, ...] = ()
    packages: tuple[Package, ...] = ()

    @property
    def own_files(self) -> tuple[AddedFile, ...]:
        """The files that belong to no package."""
        owned = frozenset[str]().union(*(package.paths for package in self.packages))
        return tuple(file for file in self.files if file.path not in owned)


def inventory(record: BuildRecord, folder: Path, reference: Reference, tool: str) -> Inventory:
    """Read a build's own layers; memory does not grow with the size of their files.

    folder: the build's, in dist/. reference: where the image is or will be. Raises NotFound or
    CorruptContent when a layer is not what the record says.
    """
    value = record.value
    base, labels = value["base"], value.get("labels") or {}
    files, metadata = _read_layers(LayoutStore(folder), record.layers(ours=True))
    platform = str(value["platform"]).split("/")
    return Inventory(
        name=str(value["image"]),
        version=str(value["version"]),
        description=str(labels.get("org.opencontainers.image.description", "")),
        reference=reference.with_digest(record.digest),
        digest=record.digest,
        base=Reference.parse(str(base["reference"])).with_digest(str(base["digest"])),
        base_digest=str(base["digest"]),
        architecture=platform[1] if len(platform) > 1 else "",
        created=str(value["created"]),
        license=str(labels.get(_LICENSES, "")),
        tool=tool,
        files=tuple(files[path] for path in sorted(files)),
        packages=_packages(metadata, files, value.get("wheels") or []),
    )


def _read_layers(
    store: LayoutStore, layers: list[Descriptor]
) -> tuple[dict[str, AddedFile], dict[str, bytes]]:
    """Files by path as they are in the finished image, and the content of packages' metadata."""
    files: dict[str, AddedFile] = {}
    kept: dict[str, bytes] = {}
    for layer in layers:
        path = store.blob_path(layer.digest)
        try:
            with tarfile.open(path, "r|*") as archive:
                files = _with_layer(archive, files, kept)
        except FileNotFoundError as error:
            raise BadInput(
                f"layer {layer.digest} is missing in {store}", "", "build the image again"
            ) from error
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise CorruptContent(f"layer {layer.digest} is no tar", str(error)[:120]) from error
    return files, {path: content for path, content in kept.items() if path in files}


def _with_layer(
    archive: tarfile.TarFile, lower: dict[str, AddedFile], kept: dict[str, bytes]
) -> dict[str, AddedFile]:
    """The files once this layer lies on the lower ones; what it deletes is only ever theirs."""
    folders = {str(parent) for path in lower for parent in PurePosixPath(path).parents}
    new: dict[str, AddedFile] = {}
    gone: set[str] = set()
    for member in archive:
        path = _readable(member.name.removeprefix("./").strip("/"))
        folder, _, name = path.rpartition("/")
        if name.startswith(".wh."):
            hidden = folder if name == ".wh..wh..opq" else f"{folder}/{name[4:]}".strip("/")
            gone.add(f"{hidden}/" if hidden in folders else hidden)
            continue
        if not member.isdir():
            # Whatever was there before, a file or a folder, this takes its place.
            gone.add(f"{path}/" if path in folders else path)
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is not None:
            new[path], content = _hashed(path, member.size, stream)
            if content is not None:
                kept[path] = content
    below = tuple(path for path in gone if path.endswith("/"))
    stays = {
        path: file
        for path, file in lower.items()
        if path not in gone and not path.startswith(below)
    }
    return stays | new


def _readable(path: str) -> str:
    """A name that is no UTF-8, written so that a document can hold it."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _hashed(path: str, size: int, stream: IO[bytes]) -> tuple[AddedFile, bytes | None]:
    """The file's digests, and its content where it says something of a package."""
    wanted = path.endswith((".dist-info/METADATA", ".dist-info/RECORD"))
    wanted = wanted or is_debian_metadata(path)
    parts: list[bytes] | None = [] if wanted and size <= _LARGEST_METADATA else None
    # SPDX 2.3 asks for SHA-1, as a name and not for security.
    old, new = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    for chunk in _chunks(stream):
        old.update(chunk)
        new.update(chunk)
        if parts is not None:
            parts.append(chunk)
    file = AddedFile(path, size, old.hexdigest(), new.hexdigest())
    return file, None if parts is None else b"".join(parts)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _packages(
    metadata: Mapping[str, bytes], files: Mapping[str, AddedFile], wheels: list[Mapping[str, Any]]
) -> tuple[Package, ...]:
    known = {normalized(str(item["name"])): item for item in wheels}
    found = [
        Package(
            item.name,
            item.version,
            debian_purl(item.distribution, item.name, item.version, item.architecture),
            stated=item.stated,
            paths=item.paths.intersection(files),
        )
        for item in debian_packages(metadata)
    ]
    for path, content in metadata.items():
        distribution = read_metadata(content) if path.endswith("/METADATA") else None
        if distribution is None:
            continue
        folder = path.rpartition("/")[0]
        record = metadata.get(f"{folder}/RECORD", b"")
        paths = read_record_paths(record, folder.rpartition("/")[0]).intersection(files)
        found.append(_python(distribution, known, frozenset(paths | {path})))
    return tuple(sorted(found, key=lambda item: (item.purl, sorted(item.paths))))


def _python(
    distribution: Distribution, known: Mapping[str, Mapping[str, Any]], paths: frozenset[str]
) -> Package:
    wheel = known.get(normalized(distribution.name), {})
    if wheel.get("version") != distribution.version:
        wheel = {}
    return Package(
        distribution.name,
        distribution.version,
        wheel_purl(distribution.name, distribution.version),
        distribution.license,
        distribution.stated,
        str(wheel.get("file", "")),
        str(wheel.get("sha256", "")),
        paths,
    )
