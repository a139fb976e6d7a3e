"""Where an image is copied from or to: a registry, a layout directory, an archive.

Written as `[HOST/]REPOSITORY[:TAG][@DIGEST]`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`; for
reading from a layout or an archive, `@DIGEST` may take the tag's place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.archive import ArchiveStore, ArchiveWriter
from registry.client import RegistryClient
from registry.errors import BadInput
from registry.layout import LayoutStore
from registry.layout_index import LAYOUT_FILE, only_reference
from registry.reference import Reference, check_tag, is_digest
from registry.store import Store

LAYOUT, ARCHIVE = "oci", "oci-archive"
_SCHEMES = (LAYOUT, ARCHIVE)
# Names other tools have for such places.
_FOREIGN = {
    "docker-archive": "`docker load` it and push, or make an oci-archive",
    "docker-daemon": "`imgctl build --load` goes the other way; `docker push` pushes from there",
    "containers-storage": "`podman push` pushes from there",
    "dir": "make an OCI layout: oci:DIR",
}


@dataclass(frozen=True)
class Location:
    """One place. name: the tag or digest there, empty when none is given.

    reference: host and repository, for a registry; else path is the directory or file, and scheme
    says which of the two.
    """

    name: str = ""
    reference: Reference | None = None
    scheme: str = ""
    path: Path = Path()

    @classmethod
    def parse(cls, text: str) -> Location:
        """Parse a place as users write it; raises BadInput."""
        scheme, colon, rest = text.partition(":")
        if colon and scheme in _FOREIGN:
            raise BadInput(f"{scheme}: is no place to copy from or to", "", _FOREIGN[scheme])
        if not (colon and scheme in _SCHEMES):
            if text and "/" not in text and Path(text).exists():
                hint = f"write oci:{text} for a layout, or HOST/{text} for a repository"
                raise BadInput(f"{text!r} is a file or folder here", "", hint)
            if text.startswith((".", "/")):
                kind = LAYOUT if not Path(text).is_file() else ARCHIVE
                raise BadInput(f"{text!r} is not an image reference", "", f"write {kind}:{text}")
            reference = Reference.parse(text)
            return cls(reference.digest or reference.tag or "", reference)
        path, name = _split_name(rest)
        if not path:
            raise BadInput(f"{text!r} names no {'directory' if scheme == LAYOUT else 'file'}")
        return cls(name, None, scheme, Path(path))

    def __str__(self) -> str:
        """Without tag or digest: `HOST/REPOSITORY`, `oci:DIR`."""
        return self.reference.name if self.reference else f"{self.scheme}:{self.path}"

    @property
    def host(self) -> str | None:
        """The registry's host."""
        return self.reference.host if self.reference else None

    def named(self, name: str) -> str:
        """The place with a tag or digest, as parse() reads it."""
        return f"{self}{'@' if is_digest(name) else ':'}{name}" if name else str(self)

    @contextmanager
    def open_source(self, client: RegistryClient, *, push: bool = False) -> Iterator[Store]:
        """The store to read from; raises BadInput when there is no layout or archive.

        push: something will be added to what is there.
        """
        if self.reference is not None:
            yield client.repository(self.reference.host, self.reference.repository, push=push)
        elif self.scheme == LAYOUT:
            if not self.path.exists():
                raise BadInput(f"there is no directory {self.path}")
            yield LayoutStore(self.path)
        else:
            with ArchiveStore(self.path) as store:
                yield store

    @contextmanager
    def open_target(
        self, client: RegistryClient, mount_from: Iterable[str] = ()
    ) -> Iterator[Store]:
        """The store to write to; a layout is made where there is none, an archive is always new.

        mount_from: repositories on the same host whose blobs will be mounted. Raises BadInput
        when something else is at the path.
        """
        if self.reference is not None:
            host, name = self.reference.host, self.reference.repository
            yield client.repository(host, name, push=True, mount_from=mount_from)
        elif self.scheme == LAYOUT:
            _check_room(self.path)
            layout = LayoutStore.create(self.path)
            try:
                yield layout
            finally:
                layout.discard_unfinished()
        else:
            with ArchiveWriter(self.path) as store:
                yield store

    def only_name(self, store: Store) -> str:
        """The tag or digest to read: the given one, `latest` in a registry, else the only one.

        Raises BadInput when a layout or archive holds several images.
        """
        if self.name:
            return self.name
        if isinstance(store, LayoutStore | ArchiveStore):
            return only_reference(store.entries(), str(self))
        return "latest"


def _split_name(text: str) -> tuple[str, str]:
    """Path and tag or digest; a path that is there as it is written has none."""
    if Path(text).exists():
        return text, ""
    path, at, digest = text.rpartition("@")
    if at and is_digest(digest):
        return path, digest
    path, colon, tag = text.rpartition(":")
    if colon and "/" not in tag:
        return path, check_tag(tag)
    return text, ""


def _check_room(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is a file", "a layout is a directory", "write oci-archive:FILE")
    if path.is_dir() and any(path.iterdir()) and not (path / LAYOUT_FILE).is_file():
        raise BadInput(
            f"{path} holds other things than an OCI layout", "", "choose an empty or new directory"
        )
