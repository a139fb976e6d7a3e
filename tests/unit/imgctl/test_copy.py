"""`imgctl copy`, called in this process, between a registry in memory, layouts and archives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.layout import LayoutStore
from registry.oci import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, Descriptor, Document, Platform
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.store import Store
from tests.unit.imgctl.builds import make_build, put_base
from tests.unit.imgctl.records import TAG, Call
from tests.unit.registry.images import CONFIG, chunks_of, manifest, put_image

LAYER, OTHER = b"a layer " * 500, b"another"


@pytest.fixture
def memory() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def host(memory: MemoryRegistry) -> Iterator[str]:
    with serve(memory) as running:
        yield running


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A layout with one image, `1.0`."""
    put_image(LayoutStore.create(tmp_path / "source"), "1.0", LAYER, OTHER)
    return tmp_path / "source"


def digest_in(store: Store, name: str) -> str:
    found = store.manifest_descriptor(name)
    assert found is not None
    return found.digest


def put_index(store: LayoutStore, tag: str) -> Document:
    entries = []
    for architecture in ("arm64", "amd64"):
        document = put_image(store, None, architecture.encode(), architecture=architecture)
        platform = Platform("linux", architecture).to_json()
        size = len(document.raw)
        entry = Descriptor(OCI_MANIFEST, document.digest, size, {"platform": platform})
        entries.append(entry.to_json())
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    index = Document.of(value, OCI_INDEX)
    store.put_manifest(index, tag)
    return index


def test_a_layout_goes_to_a_registry_and_back_unchanged(
    call: Call, layout: Path, host: str, tmp_path: Path
) -> None:
    code, out, err = call("copy", "oci:source", f"{host}/team/x")
    digest = digest_in(LayoutStore(layout), "1.0")
    assert (code, out) == (0, f"{host}/team/x:1.0@{digest}\n"), err
    assert call("copy", f"{host}/team/x:1.0", "oci:back")[0] == 0
    for path in (layout / "blobs").rglob("*"):
        if path.is_file():
            assert (tmp_path / "back" / path.relative_to(layout)).read_bytes() == path.read_bytes()


def test_an_archive_carries_an_image_through(call: Call, layout: Path, host: str) -> None:
    assert call("copy", "oci:source", "oci-archive:x.tar")[0] == 0
    code, out, _ = call("copy", "oci-archive:x.tar", f"{host}/x:2.0")
    assert (code, out) == (0, f"{host}/x:2.0@{digest_in(LayoutStore(layout), '1.0')}\n")


def test_a_second_copy_sends_nothing(call: Call, layout: Path, host: str) -> None:
    call("copy", "oci:source", f"{host}/x")
    code, out, _ = call("copy", "oci:source", f"{host}/x", "--format", "json")
    value = json.loads(out)
    assert code == 0
    assert value["unchanged"] is True
    assert value["blobs"] == {"sent": 0, "mounted": 0, "present": 0}


def test_within_a_registry_blobs_are_mounted(call: Call, layout: Path, host: str) -> None:
    call("copy", "oci:source", f"{host}/one")
    _, out, _ = call("copy", f"{host}/one:1.0", f"{host}/two", "--format", "json")
    value = json.loads(out)
    assert value["bytes"]["sent"] == 0
    assert value["blobs"]["mounted"] == 3
    assert value["target"] == f"{host}/two:1.0"


def test_a_digest_may_name_the_source(call: Call, layout: Path, host: str) -> None:
    call("copy", "oci:source", f"{host}/one")
    digest = digest_in(LayoutStore(layout), "1.0")
    code, out, _ = call("copy", f"{host}/one@{digest}", f"{host}/two")
    assert (code, out) == (0, f"{host}/two@{digest}\n")
    code, out, _ = call("copy", f"{host}/one@{digest}", f"{host}/two:kept")
    assert (code, out) == (0, f"{host}/two:kept@{digest}\n")


def test_all_tags_come_along_under_their_names(
    call: Call, layout: Path, memory: MemoryRegistry, host: str
) -> None:
    store = LayoutStore(layout)
    put_image(store, "2.0", LAYER, b"newer")
    store.put_manifest(store.manifest("2.0"), "latest")
    code, out, _ = call("copy", "--all-tags", "oci:source", f"{host}/x", "--format", "json")
    assert code == 0
    assert set(memory.repositories["x"].tags) == {"1.0", "2.0", "latest"}
    assert memory.repositories["x"].tags["latest"] == memory.repositories["x"].tags["2.0"]
    # Layers that tags share are sent once.
    assert sum(item["blobs"]["sent"] for item in json.loads(out)) == 4
    _, again, err = call("copy", "--all-tags", "oci:source", f"{host}/x")
    assert len(again.splitlines()) == 3
    assert err.count("already there") == 3
    assert "3 requests" in err


def test_an_index_comes_whole_or_for_one_platform(
    call: Call, tmp_path: Path, memory: MemoryRegistry, host: str
) -> None:
    store = LayoutStore.create(tmp_path / "source")
    index = put_index(store, "1.0")
    arm = index.choose(Platform("linux", "arm64")).digest
    assert call("copy", "oci:source", f"{host}/whole")[1].strip().endswith(index.digest)
    assert len(memory.repositories["whole"].manifests) == 3
    _, out, _ = call("copy", "oci:source", f"{host}/one", "--platform", "linux/arm64")
    assert out == f"{host}/one:1.0@{arm}\n"
    assert list(memory.repositories["one"].manifests) == [arm]
    # A digest that names the index must not be given to the manifest taken out of it.
    _, out, _ = call(
        "copy", f"{host}/whole@{index.digest}", f"{host}/two", "--platform", "linux/arm64"
    )
    assert out == f"{host}/two@{arm}\n"


def test_an_image_for_one_platform_is_not_taken_for_another(
    call: Call, layout: Path, memory: MemoryRegistry, host: str
) -> None:
    code, out, err = call("copy", "oci:source", f"{host}/x", "--platform", "linux/amd64")
    assert (code, out) == (1, "")
    assert "the image is for linux/arm64, not linux/amd64" in err
    assert memory.repositories == {}
    assert call("copy", "oci:source", f"{host}/x", "--platform", "linux/arm64")[0] == 0


def test_what_is_no_image_is_for_every_platform(call: Call, tmp_path: Path, host: str) -> None:
    store = LayoutStore.create(tmp_path / "source")
    store.push_blob(CONFIG, chunks_of(b"{}"))
    value = {"schemaVersion": 2, "config": CONFIG.to_json() | {"mediaType": OCI_EMPTY}}
    artifact = Document.of(value | {"mediaType": OCI_MANIFEST, "layers": []}, OCI_MANIFEST)
    store.put_manifest(artifact, "1.0")
    assert call("copy", "oci:source", f"{host}/x", "--platform", "linux/amd64")[0] == 0


def test_an_index_without_the_platform_names_those_it_has(
    call: Call, tmp_path: Path, host: str
) -> None:
    put_index(LayoutStore.create(tmp_path / "source"), "1.0")
    code, out, err = call("copy", "oci:source", f"{host}/x", "--platform", "linux/riscv64")
    assert (code, out) == (1, "")
    assert "linux/arm64" in err and "linux/amd64" in err


def test_what_refers_to_an_image_comes_along_when_asked(
    call: Call, layout: Path, host: str
) -> None:
    store = LayoutStore(layout)
    subject = store.manifest("1.0")
    sbom = manifest(subject=subject.descriptor, artifactType="application/spdx+json")
    with RegistryClient(RegistryOptions()) as client:
        store.push_blob(sbom.config, chunks_of(b"{}"))
        store.put_manifest(sbom)
        assert call("copy", "oci:source:1.0", f"{host}/without")[0] == 0
        assert call("copy", "oci:source:1.0", f"{host}/with", "--referrers")[0] == 0
        assert client.repository(host, "without").referrers(subject.digest) == []
        (found,) = client.repository(host, "with").referrers(subject.digest)
        assert found.digest == sbom.digest


def test_a_sparse_build_is_filled_up_from_its_base(call: Call, tmp_path: Path, host: str) -> None:
    with RegistryClient(RegistryOptions()) as client:
        put_base(client.repository(host, "nvidia/l4t-base"))
    folder = make_build(tmp_path / "dist", base=(host, "nvidia/l4t-base"))
    code, out, err = call("copy", f"oci:{folder}", "oci-archive:x.tar")
    assert code == 0, err
    assert out.startswith(f"oci-archive:x.tar:{TAG}@sha256:")
    _, out, _ = call("copy", f"oci:{folder}", f"{host}/x", "--format", "json")
    assert json.loads(out)["blobs"]["mounted"] == 1


@pytest.mark.parametrize("target", ["oci:new", "oci-archive:new.tar", "{host}/x"])
def test_a_dry_run_changes_nothing(
    call: Call, layout: Path, memory: MemoryRegistry, host: str, tmp_path: Path, target: str
) -> None:
    before = sorted(tmp_path.iterdir())
    code, _, err = call("copy", "oci:source", target.format(host=host), "--dry-run")
    assert code == 0
    assert "would have sent 4.0 kB" in err
    assert sorted(tmp_path.iterdir()) == before
    assert memory.repositories == {}


def test_a_damaged_blob_leaves_no_tag_and_no_archive(
    call: Call, layout: Path, memory: MemoryRegistry, host: str, tmp_path: Path
) -> None:
    path = max((layout / "blobs/sha256").iterdir(), key=lambda item: item.stat().st_size)
    path.write_bytes(b"x" * path.stat().st_size)
    for target in (f"{host}/x", "oci-archive:x.tar"):
        code, out, err = call("copy", "oci:source", target)
        assert (code, out) == (1, "")
        assert "is corrupt" in err
        assert "build or push it there again" in err
    assert not memory.repositories.get("x") or memory.repositories["x"].tags == {}
    assert not (tmp_path / "x.tar").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("oci:nowhere", "oci:new"), 2, "there is no directory nowhere"),
        (("oci-archive:no.tar", "oci:new"), 2, "there is no archive no.tar"),
        (("oci:source:2.0", "oci:new"), 1, "holds no 2.0"),
        (("oci:source", "source"), 2, "is a file or folder here"),
        (("oci:source", "docker://h.example/x"), 2, "given as a URL"),
        (("oci:source", "h.example/x@sha256:" + "0" * 64), 2, "is named by digest"),
        (("oci:source:1.0", "oci:new", "--all-tags"), 2, "name no tag"),
        (("oci:source", "oci:new", "--platform", "arm"), 2, "arm"),
        (("127.0.0.1:9/x", "oci:new"), 1, "cannot connect to 127.0.0.1:9"),
        (("oci:source",), 2, "DST"),
        (("oci-archive:source", "oci:new"), 2, "for a layout write oci:DIR"),
        (("oci:source", "oci:new", "--max-request-body", "5"), 2, "too small"),
    ],
)
def test_bad_input_is_one_clear_error(
    call: Call, layout: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended, out, err = call("copy", *arguments)
    assert (ended, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists()


def test_a_layout_with_several_images_wants_one_named(call: Call, layout: Path) -> None:
    put_image(LayoutStore(layout), "2.0", b"x")
    code, _, err = call("copy", "oci:source", "oci:new")
    assert code == 2
    assert "holds several images" in err and "1.0, 2.0" in err


def test_an_archive_is_not_overwritten(call: Call, layout: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"dear")
    code, _, err = call("copy", "oci:source", "oci-archive:x.tar")
    assert code == 2
    assert "exists" in err
    assert (tmp_path / "x.tar").read_bytes() == b"dear"
