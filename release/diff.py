"""What changed between two images: base, files, packages, settings, size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.oci import Descriptor
from registry.store import Store
from release.layer_files import LayerFile, packages, read_layer
from release.remote import BASE_DIGEST, BASE_NAME, RemoteImage

# Layers above this are told by digest and size: reading one would cost what nobody asked for.
LARGEST_READ = 64 << 20  # bytes
_SETTINGS = ("Env", "Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts", "Volumes")


@dataclass(frozen=True)
class Change:
    """One difference. before, after: None where the thing was not there."""

    what: str
    name: str
    before: str | None
    after: str | None

    def to_json(self) -> dict[str, str | None]:
        """As a JSON object."""
        return {"what": self.what, "name": self.name, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Difference:
    """changes: by kind, then name. same: both are one manifest. sizes: bytes of all blobs.

    unread: layers that differ and were too large to look into.
    """

    before: RemoteImage
    after: RemoteImage
    changes: tuple[Change, ...]
    unread: tuple[Descriptor, ...]

    @property
    def same(self) -> bool:
        """Whether both names are of one image."""
        return self.before.manifest.digest == self.after.manifest.digest

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; sizes in bytes."""
        return {
            "before": {"reference": str(self.before.reference), **_summary(self.before)},
            "after": {"reference": str(self.after.reference), **_summary(self.after)},
            "same": self.same,
            "changes": [change.to_json() for change in self.changes],
            "unread_layers": [layer.to_json() for layer in self.unread],
        }


def compare(one: RemoteImage, one_store: Store, two: RemoteImage, two_store: Store) -> Difference:
    """The differences of two images; layers they share are not read."""
    shared = set(one.diff_ids) & set(two.diff_ids)
    before, skipped = _files(one, one_store, shared)
    after, skipped_too = _files(two, two_store, shared)
    changes = [
        *_changed("base", _base(one), _base(two)),
        *_changed("package", packages(iter(before)), packages(iter(after))),
        *_changed("file", _described(before), _described(after)),
        *_changed("setting", _settings(one), _settings(two)),
        *_changed("label", one.labels, two.labels),
    ]
    return Difference(one, two, tuple(changes), (*skipped, *skipped_too))


def _changed(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Change]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Change(what, name, before.get(name), after.get(name))


def _files(
    image: RemoteImage, store: Store, shared: set[str]
) -> tuple[dict[str, LayerFile], list[Descriptor]]:
    """What the layers that only this image has leave behind, by path; and those not read."""
    found: dict[str, LayerFile] = {}
    skipped = []
    for diff_id, layer in zip(image.diff_ids, image.layers, strict=True):
        if diff_id in shared:
            continue
        if layer.size > LARGEST_READ:
            skipped.append(layer)
            continue
        for entry in read_layer(store, layer):
            found[entry.path] = entry
    return found, skipped


def _described(files: Mapping[str, LayerFile]) -> dict[str, str]:
    """Files as `0644 0:0 1234 bytes sha256:…`; folders say nothing of their own."""
    return {
        path: f"{item.mode:04o} {item.uid}:{item.gid} {_content(item)}"
        for path, item in files.items()
        if item.kind != "folder" and ".dist-info/" not in path
    }


def _content(item: LayerFile) -> str:
    if item.kind == "file":
        return f"{item.size} bytes sha256:{item.sha256[:12]}"
    return f"{item.kind} {item.sha256}".strip()


def _base(image: RemoteImage) -> dict[str, str]:
    keys = {"name": BASE_NAME, "digest": BASE_DIGEST}
    return {name: image.labels[key] for name, key in keys.items() if key in image.labels}


def _settings(image: RemoteImage) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in _SETTINGS:
        value = image.settings.get(key)
        if key == "Env" and isinstance(value, list):
            pairs = (str(item).partition("=") for item in value)
            found |= {f"env {name}": text for name, _, text in pairs}
        elif value:
            found[key.lower()] = (
                " ".join(map(str, value)) if isinstance(value, list) else str(value)
            )
    return found


def _summary(image: RemoteImage) -> dict[str, Any]:
    return {"digest": image.manifest.digest, "size": image.size, "layers": len(image.layers)}
