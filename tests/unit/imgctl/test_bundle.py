"""`imgctl bundle`: what is carried, what is written, what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.bundle.inventory import chain_ids
from registry.archive import ArchiveStore
from registry.client import RegistryClient, RegistryOptions
from registry.layout import LayoutStore
from registry.origin import Origin
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.transfer import copy
from tests.unit.imgctl.builds import BASE_LAYER, layer, make_build, put_base
from tests.unit.imgctl.records import TAG, Call, push_record, put

NAME = f"mnist-{TAG}"
BASE = layer(BASE_LAYER)
OURS = layer(b"our script")


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Path]:
    """A sparse build whose base is in a registry on loopback."""
    with serve(MemoryRegistry()) as host:
        with RegistryClient(RegistryOptions()) as client:
            put_base(client.repository(host, "nvidia/l4t-base"))
        yield make_build(tmp_path / "dist", unpackable=True, base=(host, "nvidia/l4t-base"))


def create(call: Call, *arguments: str) -> tuple[int, str, str]:
    return call("bundle", "mnist", "--harbor", "local-harbor.com", *arguments)


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return opened.getnames()


def test_every_layer_is_carried_unless_the_device_has_it(
    built: Path, call: Call, tmp_path: Path
) -> None:
    code, out, err = create(call)
    assert (code, out.split()) == (0, [f"{NAME}.tar", f"{NAME}.sh"]), err
    assert "2 of 2 layers carried" in err
    whole = tmp_path / f"{NAME}.tar"
    with ArchiveStore(whole) as store:
        for item in store.manifest(TAG).blobs():
            with store.open_blob(item) as chunks:
                assert sum(map(len, chunks)) == item.size
    assert create(call, "--holds", "base", "-o", "small.tar")[0] == 0
    left = set(names(whole)) - set(names(tmp_path / "small.tar"))
    assert left == {f"blobs/sha256/{BASE.digest[7:]}"}


def test_the_archive_says_what_was_left_out_of_it(built: Path, call: Call, tmp_path: Path) -> None:
    code, out, _ = create(call, "--holds", "base", "--format", "json")
    assert code == 0
    told = json.loads(out)
    chains = chain_ids([BASE.digest, OURS.digest])
    assert [(item["digest"], item["chain_id"], item["carried"]) for item in told["layers"]] == [
        (BASE.digest, chains[0], False),
        (OURS.digest, chains[1], True),
    ]
    archive = tmp_path / told["archive"]
    assert told["size"] == archive.stat().st_size
    assert told["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as opened:
        stream = opened.extractfile("bundle.json")
        assert stream is not None
        inside = json.load(stream)
    assert inside.items() <= told.items()
    assert inside["image"] == f"local-harbor.com/algorithms/mnist:{TAG}"


def test_the_image_is_named_by_tag_and_by_digest(built: Path, call: Call, tmp_path: Path) -> None:
    assert create(call, "--holds", "base", "-o", "b.tar")[0] == 0
    with tarfile.open(tmp_path / "b.tar") as opened:
        stream = opened.extractfile("index.json")
        assert stream is not None
        entries = json.load(stream)["manifests"]
    found = [entry["annotations"]["io.containerd.image.name"] for entry in entries]
    digest = json.loads((built / "build.json").read_text())["digest"]
    name = "local-harbor.com/algorithms/mnist"
    assert found == [f"{name}:{TAG}", f"{name}@{digest}"]


def test_an_inventory_decides_and_of_several_what_all_hold(
    built: Path, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "one").write_text(f'["{BASE.digest}"]\n')
    (tmp_path / "two").write_text(f"{BASE.digest}\n")
    (tmp_path / "other").write_text(f'["{OURS.digest}"]\n')
    _, _, err = create(call, "--inventory", "one", "--inventory", "two", "--dry-run")
    assert "1 of 2 layers carried" in err
    _, _, err = create(call, "--inventory", "one", "--inventory", "other", "--dry-run")
    assert "2 of 2 layers carried" in err
    assert not list(tmp_path.glob("*.tar"))


def test_the_script_is_posix_shell(built: Path, call: Call, tmp_path: Path) -> None:
    assert create(call, "--holds", "base", "-o", "b.tar")[0] == 0
    subprocess.run(["sh", "-n", str(tmp_path / "b.sh")], check=True)
    assert (tmp_path / "b.sh").stat().st_mode & 0o111


def test_a_layer_that_is_nowhere_leaves_no_archive(call: Call, tmp_path: Path) -> None:
    with serve(MemoryRegistry()) as host:
        make_build(tmp_path / "dist", unpackable=True, base=(host, "nvidia/l4t-base"))
        code, out, err = create(call, "-o", "b.tar")
    assert (code, out) == (1, "")
    assert BASE.digest in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist"]


def test_what_was_built_again_since_the_push_is_not_sent_for_it(
    built: Path, call: Call, tmp_path: Path
) -> None:
    put(tmp_path / "dist", push_record())
    _, _, err = call("bundle", "mnist", "--holds", "base", "--dry-run")
    assert "built but not pushed" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-o", "bundle.tgz"), 2, "does not end in .tar"),
        (("-o", "no/b.tar"), 2, "there is no folder no"),
        (("--inventory", "missing.txt"), 2, "missing.txt"),
        (("--holds", "nothing"), 2, "nothing"),
        (("--link", "fast"), 2, "not a link speed"),
        (("--require-signature",), 2, "key"),
    ],
)
def test_bad_input(
    built: Path, call: Call, arguments: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    got, out, err = create(call, *arguments)
    assert (got, out) == (code, "")
    assert said in err
    assert not list(tmp_path.glob("*.tar"))


def test_another_platform_is_refused(call: Call, tmp_path: Path) -> None:
    make_build(tmp_path / "dist", unpackable=True, architecture="amd64")
    code, _, err = create(call, "--holds", "base")
    assert code == 3
    assert "a Jetson runs linux/arm64" in err


def test_the_inventory_script_is_printed(call: Call) -> None:
    code, out, _ = call("bundle", "--script")
    assert code == 0
    assert out.startswith("#!/bin/sh\n")


def test_a_project_counts_on_any_registry(built: Path, call: Call) -> None:
    for flag in ("--harbor", "--registry"):
        arguments = ("bundle", "mnist", flag, "local-harbor.com", "--project", "team", "--dry-run")
        _, out, _ = call(*arguments)
        assert out.startswith(f"local-harbor.com/team/mnist:{TAG}@")


@pytest.fixture
def untagged(built: Path) -> str:
    """The built image in a registry, by a reference without a tag; no annotation tells one."""
    sources = json.loads((built / "build.json").read_text())["base"]["sources"]
    host = sources[0]["host"]
    store = LayoutStore(built)
    with RegistryClient(RegistryOptions()) as client:
        copied = copy(store, client.repository(host, "other/thing"), TAG,
                      origins=[Origin(client.repository(host, "nvidia/l4t-base"))])  # fmt: skip
    return f"{host}/other/thing@{copied.descriptor.digest}"


def test_what_a_device_holds_needs_no_tag(built: Path, call: Call, untagged: str) -> None:
    code, _, err = create(call, "--holds", untagged, "--dry-run")
    assert (code, "0 of 2 layers carried" in err) == (0, True), err


def test_what_is_carried_needs_one(call: Call, untagged: str, tmp_path: Path) -> None:
    code, out, err = call("bundle", untagged)
    assert (code, out) == (2, "")
    assert "has no tag" in err
    assert not list(tmp_path.glob("*.tar"))
