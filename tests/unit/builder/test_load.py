"""The archive Docker gets: an OCI layout and a `docker save` archive in one, streamed."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from builder.engines.direct import DirectEngine
from builder.load import Blob, archive
from builder.record import BuildRecord, record_of
from registry.errors import NotFound
from registry.layout import LayoutStore
from registry.progress import SILENT
from tests.unit.builder import plans


@pytest.fixture
def built(tmp_path: Path) -> tuple[BuildRecord, LayoutStore, LayoutStore]:
    """A build's record, its sparse layout, and the store that has its base."""
    base = plans.put_base(tmp_path / "base")
    files = plans.context(tmp_path / "context", {"a.py": b"print(1)"})
    plan = plans.plan(plans.remote(base), "COPY --link a.py /a.py\n", files)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    engine = DirectEngine(lambda *_: pytest.fail("no wheels"))
    made = engine.build(plan, tmp_path / "layout", scratch, SILENT)
    return record_of(plan, made, {}), LayoutStore(made.path), base


def members(record: BuildRecord, store: LayoutStore, *sources: LayoutStore) -> dict[str, bytes]:
    """What is in the archive of a build with all its blobs."""
    blobs = [Blob(item, (store, *sources)) for item in store.manifest(record.digest).blobs()]
    data = b"".join(archive(record, store, blobs))
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        for item in opened:
            stream = opened.extractfile(item)
            assert stream is not None
            found[item.name] = stream.read()
    return found


def test_either_kind_of_image_store_finds_the_image(
    built: tuple[BuildRecord, LayoutStore, LayoutStore],
) -> None:
    record, store, base = built
    found = members(record, store, base)
    (entry,) = json.loads(found["index.json"])["manifests"]
    assert entry["digest"] == record.digest
    assert entry["annotations"] == {
        "io.containerd.image.name": f"docker.io/library/{record.name}",
        "org.opencontainers.image.ref.name": record.value["tag"],
    }
    (saved,) = json.loads(found["manifest.json"])
    assert saved["RepoTags"] == [record.name]
    manifest = store.manifest(record.digest)
    assert saved["Config"] == f"blobs/sha256/{manifest.config.digest[7:]}"
    assert [found[path] for path in saved["Layers"]] == [
        base.blob_bytes(manifest.layers[0]), store.blob_bytes(manifest.layers[1]),
    ]  # fmt: skip
    assert found[f"blobs/sha256/{record.digest[7:]}"] == manifest.raw
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_a_layer_that_nobody_has_ends_the_archive(
    built: tuple[BuildRecord, LayoutStore, LayoutStore],
) -> None:
    record, store, _ = built
    with pytest.raises(NotFound, match="nowhere to be had"):
        members(record, store)
