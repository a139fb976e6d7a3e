"""Copying between stores: only what is missing moves, and the tag comes last."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry.archive import ArchiveStore, ArchiveWriter
from registry.blobs import OpenChunks
from registry.client import RegistryClient, RegistryOptions
from registry.errors import CorruptContent, ImgctlError, NotFound, RegistryError, Unreachable
from registry.layout import LayoutStore
from registry.oci import OCI_INDEX, OCI_MANIFEST, Descriptor, Document, Platform
from registry.origin import Origin
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.tally import Tally
from registry.transfer import CopyOptions, copy, send
from registry.workers import Stopped, work
from tests.unit.registry.images import Neighbour, blob, chunks_of, manifest, put_image

BASE, OURS = b"base" * 1000, b"ours"


@pytest.fixture
def source(tmp_path: Path) -> LayoutStore:
    return LayoutStore.create(tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> LayoutStore:
    return LayoutStore.create(tmp_path / "target")


def neighbour(tmp_path: Path, name: str) -> Neighbour:
    store = Neighbour.create(tmp_path / "registry" / name)
    assert isinstance(store, Neighbour)
    return store


class Recorder:
    """A Progress that keeps the bytes of each task."""

    def __init__(self) -> None:
        self.moved: dict[str, int] = {}
        self.said: list[str] = []
        self._lock = threading.Lock()

    def start(self, key: str, label: str, total: int | None = None) -> None:
        self.moved[key] = 0

    def advance(self, key: str, amount: int) -> None:
        with self._lock:
            self.moved[key] += amount

    def finish(self, key: str, note: str = "") -> None:
        pass

    def say(self, line: str) -> None:
        self.said.append(line)


def put_index(store: LayoutStore, tag: str, **platforms: Document) -> Document:
    entries = []
    for architecture, document in platforms.items():
        platform = Platform("linux", architecture).to_json()
        descriptor = Descriptor(
            OCI_MANIFEST, document.digest, len(document.raw), {"platform": platform}
        )
        entries.append(descriptor.to_json())
    index = Document.of(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, OCI_INDEX
    )
    store.put_manifest(index, tag)
    return index


def test_a_copy_has_the_same_bytes(source: LayoutStore, target: LayoutStore) -> None:
    document = put_image(source, "1.0", BASE, OURS)
    result = copy(source, target, "1.0")
    assert result.descriptor.digest == document.digest and not result.unchanged
    assert target.manifest("1.0").raw == document.raw
    assert target.blob_bytes(blob(BASE)) == BASE
    assert (result.tally.sent, result.tally.present) == (3, 0)
    assert result.tally.sent_bytes == sum(item.size for item in document.blobs())


def test_a_copy_may_go_under_another_tag(source: LayoutStore, target: LayoutStore) -> None:
    put_image(source, "1.0", BASE)
    copy(source, target, "1.0", "stable")
    assert target.tags() == ["stable"]


def test_copying_by_digest_lists_the_image_without_a_tag(
    source: LayoutStore, target: LayoutStore
) -> None:
    document = put_image(source, "1.0", BASE)
    copy(source, target, document.digest)
    assert [entry.digest for entry in target.entries()] == [document.digest]


def test_a_second_copy_does_nothing(tmp_path: Path, source: LayoutStore) -> None:
    put_image(source, "1.0", BASE, OURS)
    target = neighbour(tmp_path, "mnist")
    copy(source, target, "1.0")
    target.calls.clear()
    result = copy(source, target, "1.0")
    assert result.unchanged and result.tally == Tally()
    assert target.calls == ["head 1.0"]


def test_only_missing_blobs_are_sent(source: LayoutStore, target: LayoutStore) -> None:
    put_image(source, "1.0", BASE, OURS)
    copy(source, target, "1.0")
    put_image(source, "1.1", BASE, b"newer")
    progress = Recorder()
    result = copy(source, target, "1.1", progress=progress)
    assert progress.moved == {blob(b"newer").digest: 5}
    assert (result.tally.sent, result.tally.present) == (1, 2)


def test_a_blob_named_twice_moves_once(source: LayoutStore, target: LayoutStore) -> None:
    put_image(source, "1.0", BASE, BASE)
    assert copy(source, target, "1.0").tally.sent == 2


def test_foreign_layers_stay_where_they_are(source: LayoutStore, target: LayoutStore) -> None:
    source.push_blob(manifest().config, chunks_of(b"{}"))
    foreign = Descriptor(
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        blob(b"elsewhere").digest,
        9,
        {"urls": ["https://example.com/layer"]},
    )
    source.put_manifest(manifest(foreign), "1.0")
    assert copy(source, target, "1.0").tally.sent == 1
    assert not target.blob_exists(foreign.digest)


def test_from_a_neighbour_every_blob_is_mounted_without_asking_first(tmp_path: Path) -> None:
    base, target = neighbour(tmp_path, "base"), neighbour(tmp_path, "mnist")
    document = put_image(base, "1.0", BASE, OURS)
    result = copy(base, target, "1.0")
    assert (result.tally.mounted, result.tally.sent) == (3, 0)
    assert sorted(target.calls) == sorted(
        ["head 1.0", *(f"mount {item.digest}" for item in document.blobs()), "put 1.0"]
    )


def test_within_one_repository_a_copy_is_a_tag(tmp_path: Path) -> None:
    store = neighbour(tmp_path, "mnist")
    put_image(store, "1.0", BASE, OURS)
    store.calls.clear()
    result = copy(store, store, "1.0", "latest")
    assert [call for call in store.calls if not call.startswith("head")] == ["put latest"]
    assert result.tally.present == 3


def sparse(source: LayoutStore, base: LayoutStore) -> tuple[Document, Origin]:
    """A grafted image: the base's layer is only in the base's repository."""
    put_image(base, "r35.2.1", BASE)
    document = put_image(source, "1.0", BASE, OURS)
    source.blob_path(blob(BASE).digest).unlink()
    return document, Origin(base, frozenset({blob(BASE).digest}))


def test_a_sparse_layout_is_completed_by_mounts_on_the_same_host(
    tmp_path: Path, source: LayoutStore
) -> None:
    base, target = neighbour(tmp_path, "base"), neighbour(tmp_path, "mnist")
    document, origin = sparse(source, base)
    result = copy(source, target, "1.0", origins=[origin])
    assert (result.tally.mounted, result.tally.mounted_bytes) == (1, len(BASE))
    ours, config = blob(OURS).digest, document.config.digest
    assert sorted(target.calls) == sorted(
        [
            "head 1.0",
            f"mount {blob(BASE).digest}",
            f"mount {ours}",
            f"push {ours}",
            f"mount {config}",
            f"push {config}",
            "put 1.0",
        ]
    )


def test_a_small_blob_is_asked_for_and_begun_at_once_and_a_large_one_asked_for(
    tmp_path: Path, source: LayoutStore
) -> None:
    target, large = neighbour(tmp_path, "mnist"), b"large" * 20_000
    document = put_image(source, "1.0", OURS, large)
    copy(source, target, "1.0")
    asked = [call for call in target.calls if call.split()[0] in ("mount", "exists")]
    assert sorted(asked) == sorted(
        [
            f"mount {document.config.digest}",
            f"mount {blob(OURS).digest}",
            f"exists {blob(large).digest}",
        ]
    )


def test_small_blobs_that_are_there_are_not_sent_again(tmp_path: Path, source: LayoutStore) -> None:
    target = neighbour(tmp_path, "mnist")
    put_image(source, "1.0", OURS)
    copy(source, target, "1.0")
    put_image(source, "1.1", OURS, b"newer")
    target.calls.clear()
    result = copy(source, target, "1.1")
    assert (result.tally.sent, result.tally.present) == (1, 2)
    assert f"push {blob(OURS).digest}" not in target.calls


def test_a_sparse_layout_is_completed_from_another_host_by_streaming(
    tmp_path: Path, source: LayoutStore, target: LayoutStore
) -> None:
    _, origin = sparse(source, neighbour(tmp_path, "base"))
    result = copy(source, target, "1.0", origins=[origin])
    assert result.tally.sent == 3
    assert target.blob_bytes(blob(BASE)) == BASE


def test_a_mount_that_fails_is_followed_by_sending(tmp_path: Path, source: LayoutStore) -> None:
    base, target = neighbour(tmp_path, "base"), neighbour(tmp_path, "mnist")
    _, origin = sparse(source, base)
    source.push_blob(blob(BASE), chunks_of(BASE))
    base.blob_path(blob(BASE).digest).unlink()
    result = copy(source, target, "1.0", origins=[origin])
    assert (result.tally.mounted, result.tally.sent) == (0, 3)


def test_a_base_that_is_gone_is_one_clear_error_and_no_tag(
    tmp_path: Path, source: LayoutStore
) -> None:
    base, target = neighbour(tmp_path, "base"), neighbour(tmp_path, "mnist")
    _, origin = sparse(source, base)
    base.blob_path(blob(BASE).digest).unlink()
    with pytest.raises(NotFound) as caught:
        copy(source, target, "1.0", origins=[origin])
    assert blob(BASE).digest in caught.value.what
    assert str(source) in caught.value.why and str(base) in caught.value.why
    assert target.tags() == []


def test_a_corrupt_blob_stops_the_copy_and_no_tag_moves(
    source: LayoutStore, target: LayoutStore
) -> None:
    put_image(source, "1.0", BASE, OURS)
    source.blob_path(blob(OURS).digest).write_bytes(b"OURS")
    with pytest.raises(CorruptContent, match=blob(OURS).digest):
        copy(source, target, "1.0")
    assert target.tags() == [] and not target.blob_exists(blob(OURS).digest)


def test_a_manifest_that_names_a_wrong_size_is_refused(
    source: LayoutStore, target: LayoutStore
) -> None:
    document = put_image(source, "1.0", BASE)
    value = dict(document.value)
    value["layers"] = [{**value["layers"][0], "size": 7}]
    source.put_manifest(Document.of(value, OCI_MANIFEST), "1.0")
    with pytest.raises(CorruptContent, match="the manifest says 7"):
        copy(source, target, "1.0")
    assert target.tags() == []


class Flaky(LayoutStore):
    """A layout whose blobs break off in the middle, a number of times."""

    failures = 0

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        with super().open_blob(descriptor) as chunks:
            content = b"".join(chunks)

        def broken() -> Iterator[bytes]:
            yield content[: len(content) // 2]
            if self.failures and descriptor.digest == blob(BASE).digest:
                self.failures -= 1
                raise Unreachable("the connection was lost")
            yield content[len(content) // 2 :]

        yield broken()


def test_a_blob_whose_source_breaks_off_starts_over_alone(
    tmp_path: Path, target: LayoutStore
) -> None:
    source = Flaky.create(tmp_path / "flaky")
    assert isinstance(source, Flaky)
    document = put_image(source, "1.0", BASE, OURS)
    source.failures = 2
    progress = Recorder()
    copy(source, target, "1.0", progress=progress)
    assert target.manifest("1.0").digest == document.digest
    assert len(progress.said) == 2
    assert progress.moved == {item.digest: item.size for item in document.blobs()}


def test_where_a_base_cannot_be_asked_for_it_is_said_what_for(
    tmp_path: Path, target: LayoutStore
) -> None:
    class Gone(LayoutStore):
        @contextmanager
        def open_blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
            if descriptor:
                raise Unreachable("cannot connect to base.test", "connection refused")
            yield iter(())

    source = LayoutStore.create(tmp_path / "sparse")
    put_image(source, "1.0", BASE, OURS)
    source.blob_path(blob(BASE).digest).unlink()
    elsewhere = Origin(Gone.create(tmp_path / "gone"))
    with pytest.raises(Unreachable, match="cannot connect") as caught:
        copy(source, target, "1.0", origins=[elsewhere])
    assert blob(BASE).digest in caught.value.why


def test_a_source_that_keeps_breaking_off_is_given_up(tmp_path: Path, target: LayoutStore) -> None:
    source = Flaky.create(tmp_path / "flaky")
    assert isinstance(source, Flaky)
    put_image(source, "1.0", BASE, OURS)
    source.failures = 100
    with pytest.raises(Unreachable, match="connection was lost"):
        copy(source, target, "1.0")
    assert source.failures == 97 and target.tags() == []


def test_what_has_to_be_sent_is_told_before_anything_is(
    source: LayoutStore, target: LayoutStore
) -> None:
    document = put_image(source, "1.0", BASE, OURS)
    told: list[int] = []

    def quota(missing: int) -> None:
        told.append(missing)
        raise ImgctlError("the quota is exceeded")

    with pytest.raises(ImgctlError, match="quota"):
        send(source, target, document, "1.0", before_sending=quota)
    assert told == [sum(item.size for item in document.blobs())]
    assert not target.blob_exists(blob(OURS).digest)


def test_an_index_is_copied_with_its_children_first(tmp_path: Path, source: LayoutStore) -> None:
    arm = put_image(source, None, BASE, OURS)
    amd = put_image(source, None, BASE, architecture="amd64")
    index = put_index(source, "1.0", arm64=arm, amd64=amd)
    target = neighbour(tmp_path, "mnist")
    result = copy(source, target, "1.0")
    assert target.calls[-3:] == [f"put {arm.digest}", f"put {amd.digest}", "put 1.0"]
    assert target.manifest("1.0").raw == index.raw
    assert result.tally.sent == 4


def test_one_platform_is_taken_out_of_an_index(source: LayoutStore, target: LayoutStore) -> None:
    arm = put_image(source, None, BASE, OURS)
    amd = put_image(source, None, b"other", architecture="amd64")
    put_index(source, "1.0", arm64=arm, amd64=amd)
    copy(source, target, "1.0", options=CopyOptions(platform=Platform("linux", "arm64")))
    assert target.manifest("1.0").raw == arm.raw
    assert not target.blob_exists(blob(b"other").digest)


def test_an_index_without_the_platform_says_what_it_has(
    source: LayoutStore, target: LayoutStore
) -> None:
    put_index(source, "1.0", amd64=put_image(source, None, BASE, architecture="amd64"))
    with pytest.raises(NotFound, match="no linux/arm64 variant") as caught:
        copy(source, target, "1.0", options=CopyOptions(platform=Platform()))
    assert "linux/amd64" in caught.value.why


def test_an_index_whose_children_are_elsewhere_says_which(
    source: LayoutStore, target: LayoutStore
) -> None:
    arm = put_image(source, None, BASE)
    put_index(source, "1.0", arm64=arm, amd64=manifest())
    with pytest.raises(NotFound) as caught:
        copy(source, target, "1.0")
    assert "linux/amd64" in caught.value.why and "--platform" in caught.value.hint


def test_referrers_and_signature_tags_come_along_when_asked(
    source: LayoutStore, target: LayoutStore
) -> None:
    image = put_image(source, "1.0", BASE)
    signature = manifest(subject=image.descriptor, artifactType="application/x.signature")
    source.push_blob(signature.config, chunks_of(b"{}"))
    source.put_manifest(signature)
    note = manifest(subject=signature.descriptor, artifactType="application/x.note")
    source.put_manifest(note)
    old = put_image(source, image.digest.replace(":", "-") + ".sig", b"old signature")

    copy(source, target, "1.0")
    assert target.referrers(image.digest) == []
    copy(source, target, "1.0", options=CopyOptions(referrers=True))
    assert [item.digest for item in target.referrers(image.digest)] == [signature.digest]
    assert [item.digest for item in target.referrers(signature.digest)] == [note.digest]
    assert target.manifest(image.digest.replace(":", "-") + ".sig").digest == old.digest


def test_a_layout_goes_into_an_archive_and_back(
    tmp_path: Path, source: LayoutStore, target: LayoutStore
) -> None:
    document = put_image(source, "1.0", BASE, OURS)
    with ArchiveWriter(tmp_path / "image.tar") as archive:
        copy(source, archive, "1.0")
    with ArchiveStore(tmp_path / "image.tar") as archive_read:
        copy(archive_read, target, "1.0")
    assert target.manifest("1.0").raw == document.raw
    assert target.blob_bytes(blob(OURS)) == OURS


class Interrupted(Neighbour):
    """A target at which Ctrl-C comes while a blob is being sent."""

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        raise KeyboardInterrupt


def test_an_interruption_moves_no_tag(tmp_path: Path, source: LayoutStore) -> None:
    put_image(source, "1.0", BASE, OURS)
    target = Interrupted.create(tmp_path / "registry" / "mnist")
    with pytest.raises(KeyboardInterrupt):
        copy(source, target, "1.0")
    assert target.tags() == []


def test_workers_give_results_in_order_and_stop_at_the_first_failure() -> None:
    assert work(lambda number: number * 2, range(20), 4, threading.Event()) == list(range(0, 40, 2))
    begun: list[int] = []
    stop = threading.Event()

    def fail(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise RegistryError("refused")
        if number > 3:
            stop.wait(5)
            raise Stopped

    with pytest.raises(RegistryError, match="refused"):
        work(fail, range(100), 4, stop)
    assert len(begun) < 10


def test_an_earlier_image_tells_in_one_request_what_is_there(
    tmp_path: Path, source: LayoutStore
) -> None:
    put_image(source, "1.1", BASE, OURS)
    target = neighbour(tmp_path, "mnist")
    earlier = put_image(target, "1.0", BASE)
    known = Origin(target, frozenset((blob(BASE).digest,)), earlier.digest)
    target.calls.clear()
    result = copy(source, target, "1.1", origins=[known])
    assert target.calls[:2] == ["head 1.1", f"head {earlier.digest}"]
    assert f"mount {blob(BASE).digest}" not in target.calls
    assert (result.tally.present, result.tally.sent) == (2, 1)


def test_an_earlier_image_that_is_gone_tells_nothing(tmp_path: Path, source: LayoutStore) -> None:
    put_image(source, "1.1", BASE, OURS)
    target = neighbour(tmp_path, "mnist")
    gone = manifest(blob(BASE))
    known = Origin(target, frozenset((blob(BASE).digest,)), gone.digest)
    result = copy(source, target, "1.1", origins=[known])
    assert (result.tally.present, result.tally.sent) == (0, 3)


def test_a_registry_refuses_a_corrupt_blob_and_the_layout_is_named_as_the_cause(
    source: LayoutStore,
) -> None:
    put_image(source, "1.0", BASE, OURS)
    source.blob_path(blob(OURS).digest).write_bytes(OURS.upper())
    with (
        serve(MemoryRegistry()) as host,
        RegistryClient(RegistryOptions()) as client,
        pytest.raises(CorruptContent) as caught,
    ):
        copy(source, client.repository(host, "a/b"), "1.0")
    assert blob(OURS).digest in caught.value.what and str(source) in caught.value.what


def test_a_blob_of_another_size_is_not_sent_to_a_registry(source: LayoutStore) -> None:
    put_image(source, "1.0", BASE, OURS)
    source.blob_path(blob(OURS).digest).write_bytes(OURS + b"more")
    progress = Recorder()
    with (
        serve(MemoryRegistry()) as host,
        RegistryClient(RegistryOptions()) as client,
        pytest.raises(CorruptContent, match="wrong size"),
    ):
        copy(source, client.repository(host, "a/b"), "1.0", progress=progress)
    assert progress.moved[blob(OURS).digest] == 0


def test_a_manifest_that_states_two_sizes_of_one_blob_is_not_copied(
    source: LayoutStore, target: LayoutStore
) -> None:
    put_image(source, None, OURS)
    lying = Descriptor(blob(OURS).media_type, blob(OURS).digest, 10**15)
    source.put_manifest(manifest(blob(OURS), lying), "1.0")
    with pytest.raises(CorruptContent, match="states two sizes"):
        copy(source, target, "1.0")
    assert target.tags() == []
