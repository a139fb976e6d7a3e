"""`imgctl base sync`, called in this process, from a registry in memory to a double of Harbor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.oci import OCI_INDEX, OCI_MANIFEST, Descriptor, Document, Platform
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double
from registry.sandbox.harbor.state import HarborState
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.store import Store
from tests.unit.imgctl.records import Call
from tests.unit.registry.images import put_image

PYTORCH, PYTORCH_TAG = "nvidia/l4t-pytorch", "r35.2.1-pth2.0-py3"
BASE, BASE_TAG = "nvidia/l4t-base", "r35.2.1"
COMMON, TORCH = b"the root file system " * 2000, b"torch " * 1000


@pytest.fixture
def harbor(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHarbor]:
    with harbor_double(projects=("nvcr",)) as running:
        monkeypatch.setenv("IMGCTL_HARBOR", running.host)
        monkeypatch.setenv("IMGCTL_USERNAME", running.username)
        monkeypatch.setenv("IMGCTL_PASSWORD", running.password)
        yield running


@pytest.fixture
def nvidia(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry that has l4t-base, and l4t-pytorch on top of it for two architectures."""
    with serve(MemoryRegistry()) as host, RegistryClient(RegistryOptions()) as client:
        put_image(client.repository(host, BASE, push=True), BASE_TAG, COMMON)
        put_index(client.repository(host, PYTORCH, push=True), PYTORCH_TAG, COMMON, TORCH)
        monkeypatch.setenv("IMGCTL_FROM", host)
        yield host


def put_index(store: Store, tag: str, *layers: bytes) -> Document:
    entries = []
    for architecture in ("arm64", "amd64"):
        own = architecture.encode() * 100
        document = put_image(store, None, *layers, own, architecture=architecture)
        platform = {"platform": Platform("linux", architecture).to_json()}
        size = len(document.raw)
        entries.append(Descriptor(OCI_MANIFEST, document.digest, size, platform).to_json())
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    index = Document.of(value, OCI_INDEX)
    store.put_manifest(index, tag)
    return index


def test_the_base_of_an_image_comes_to_where_a_build_looks_for_it(
    call: Call, harbor: RunningHarbor, nvidia: str
) -> None:
    code, out, err = call("base", "sync", "mnist", "--l4t", "r35.2.1")
    found = harbor.double.state.find_artifact(f"nvcr/{PYTORCH}", PYTORCH_TAG)
    assert found is not None, err
    assert not found.document.is_index
    digest = found.document.digest
    assert (code, out) == (0, f"{harbor.host}/nvcr/{PYTORCH}:{PYTORCH_TAG}@{digest}\n")
    assert err.endswith(f"build and push with --base-mirror {harbor.host}/nvcr\n")
    assert "for mnist for r35.2.1" in err
    mirror = f"{harbor.host}/nvcr"
    _, _, err = call("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", mirror, "--dry-run")
    # The stand-in's config is too poor to build on, which is found out by reading it there.
    assert f"{mirror}/{PYTORCH}" in err


def test_a_second_time_nothing_moves(call: Call, harbor: RunningHarbor, nvidia: str) -> None:
    first = call("base", "sync", "mnist", "--l4t", "r35.2.1")
    code, out, err = call("base", "sync", "mnist", "--l4t", "r35.2.1")
    assert (code, out) == (0, first[1])
    assert err.startswith("  already there; for mnist")


def test_what_bases_have_in_common_is_sent_once(
    call: Call, harbor: RunningHarbor, nvidia: str
) -> None:
    images = ("mnist", "gpu-test", "tensorflow")
    code, out, err = call("base", "sync", *images, "--l4t", "r35.2.1", "--format", "json")
    assert code == 0, err
    value = json.loads(out)
    assert value["base_mirror"] == f"{harbor.host}/nvcr"
    first, second = value["bases"]
    assert first["images"] == ["mnist for r35.2.1", "gpu-test for r35.2.1"]
    assert first["bytes"]["sent"] > len(COMMON)
    assert second["bytes"]["mounted"] >= len(COMMON)
    assert second["bytes"]["sent"] < 1000


def test_every_platform_comes_when_asked_and_then_serves_for_one(
    call: Call, harbor: RunningHarbor, nvidia: str
) -> None:
    assert call("base", "sync", "mnist", "--l4t", "r35.2.1", "--all-platforms")[0] == 0
    found = harbor.double.state.find_artifact(f"nvcr/{PYTORCH}", PYTORCH_TAG)
    assert found is not None
    assert found.document.is_index
    code, _, err = call("base", "sync", "mnist", "--l4t", "r35.2.1")
    assert (code, "already there" in err) == (0, True)
    assert harbor.double.state.find_artifact(f"nvcr/{PYTORCH}", PYTORCH_TAG) is found


def test_a_dry_run_says_what_would_move_and_moves_nothing(
    call: Call, harbor: RunningHarbor, nvidia: str
) -> None:
    code, out, err = call("base", "sync", "mnist", "--l4t", "r35.2.1", "--dry-run")
    assert code == 0
    assert out.startswith(f"{harbor.host}/nvcr/{PYTORCH}:{PYTORCH_TAG}@sha256:")
    assert "would have sent" in err
    assert "--base-mirror" not in err
    assert harbor.double.state.projects["nvcr"].repositories == {}


def test_a_missing_project_is_named_and_made_when_asked(
    call: Call, harbor: RunningHarbor, nvidia: str
) -> None:
    command = ("base", "sync", "mnist", "--l4t", "r35.2.1", "--project", "bases")
    code, out, err = call(*command)
    assert (code, out) == (1, "")
    assert err == (
        f"imgctl: project 'bases' does not exist on {harbor.host}\n  fix: add --create-project\n"
    )
    code, _, err = call(*command, "--create-project", "--dry-run")
    assert (code, "would have sent" in err) == (0, True)
    assert "bases" not in harbor.double.state.projects
    assert call(*command, "--create-project")[0] == 0
    assert harbor.double.state.find_artifact(f"bases/{PYTORCH}", PYTORCH_TAG) is not None


def test_a_project_too_small_is_told_before_anything_is_sent(
    call: Call, harbor: RunningHarbor, nvidia: str
) -> None:
    harbor.double.state.projects["nvcr"].storage_limit = 1000
    for also in ((), ("--dry-run",)):
        code, out, err = call("base", "sync", "mnist", "--l4t", "r35.2.1", *also)
        assert (code, out) == (3, "")
        assert "project 'nvcr'" in err
        assert "has no room" in err
    assert harbor.double.state.projects["nvcr"].blobs == {}


def test_one_that_is_not_to_be_had_does_not_stop_the_others(
    call: Call, harbor: RunningHarbor, nvidia: str
) -> None:
    code, out, err = call("base", "sync", "mnist", "--l4t", "r35.1.0", "--l4t", "r35.2.1")
    assert code == 1
    assert out.count("\n") == 1
    assert "nvidia/l4t-pytorch:r35.1.0-pth1.13-py3:" in err
    assert "imgctl: 1 of 2 brought, 1 failed" in err


def test_the_settings_files_project_for_images_is_not_where_bases_go(
    call: Call, harbor: RunningHarbor, nvidia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCTL_PROJECT", "algorithms")
    assert call("base", "sync", "mnist", "--l4t", "r35.2.1")[0] == 0


def test_a_plain_registry_gets_them_below_a_prefix(call: Call, nvidia: str) -> None:
    with serve(MemoryRegistry()) as host:
        code, out, err = call("base", "sync", "mnist", "--l4t", "r35.2.1", "--registry",
                              f"{host}/mirror")  # fmt: skip
    assert code == 0, err
    assert out.startswith(f"{host}/mirror/{PYTORCH}:{PYTORCH_TAG}@")
    assert err.endswith(f"--base-mirror {host}/mirror\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("mnist",), "for which L4T release?"),
        (("mnist", "--l4t", "r35.2.1"), "where to?"),
        (("mnist", "--l4t", "r35.2.1", "--registry", "127.0.0.1:9", "--from", "127.0.0.1:9"),
         "would be copied onto itself"),
        (("nist", "--l4t", "r35.2.1"), "there is no image 'nist'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_asked(
    call: Call, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = call("base", "sync", *arguments)
    assert (code, out) == (2, "")
    assert says in err


# --- by replication ---


class Brings(dict[int, Any]):
    """The double's executions: what one was started for is there at once."""

    def __init__(self, state: HarborState, storage: MemoryRegistry) -> None:
        super().__init__()
        self._state, self._storage = state, storage

    def __setitem__(self, number: int, value: Any) -> None:
        super().__setitem__(number, value)
        image = self._state.projects["elsewhere"].repositories["image"]
        brought = replace(image, name=f"nvcr/{PYTORCH}")
        self._state.projects["nvcr"].repositories[PYTORCH] = brought
        repositories = self._storage.repositories
        repositories[brought.name] = repositories["elsewhere/image"]


@pytest.fixture
def replicating(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHarbor]:
    """A Harbor that brings l4t-pytorch when a replication is run."""
    storage = MemoryRegistry()
    with harbor_double(HarborDouble(storage), projects=("nvcr", "elsewhere")) as running:
        credentials = Credentials(running.username, running.password)
        with RegistryClient(RegistryOptions(credentials=lambda host: credentials)) as client:
            place = client.repository(running.host, "elsewhere/image", push=True)
            put_image(place, PYTORCH_TAG, COMMON)
        running.double.state.executions = Brings(running.double.state, storage)
        monkeypatch.setenv("IMGCTL_HARBOR", running.host)
        monkeypatch.setenv("IMGCTL_USERNAME", running.username)
        monkeypatch.setenv("IMGCTL_PASSWORD", running.password)
        yield running


REPLICATE = ("base", "sync", "mnist", "--l4t", "r35.2.1", "--replicate")


def test_harbor_brings_them_itself_by_a_policy(call: Call, replicating: RunningHarbor) -> None:
    code, out, err = call(*REPLICATE, "--dry-run")
    assert (code, out) == (0, f"{replicating.host}/nvcr/{PYTORCH}:{PYTORCH_TAG}\n"), err
    assert "would make    replication imgctl-bases-nvidia" in err
    assert replicating.double.state.policies == {}
    code, out, err = call(*REPLICATE)
    assert (code, out.startswith(f"{replicating.host}/nvcr/{PYTORCH}:{PYTORCH_TAG}@")) == (0, True)
    assert "brought by Harbor; for mnist" in err
    assert err.endswith(f"--base-mirror {replicating.host}/nvcr\n")
    (policy,) = replicating.double.state.policies.values()
    assert policy["filters"][0]["value"] == PYTORCH
    (registry,) = replicating.double.state.registries.values()
    assert registry["url"] == "https://nvcr.io"
    code, again, err = call(*REPLICATE)
    assert (code, again) == (0, out)
    assert "already there" in err
    assert len(replicating.double.state.executions) == 1


def test_what_harbor_did_not_bring_is_told(call: Call, harbor: RunningHarbor) -> None:
    code, out, err = call(*REPLICATE)
    assert (code, out) == (1, "")
    assert "the replication is over, and" in err


def test_the_key_goes_to_harbor_and_nowhere_else(
    call: Call, replicating: RunningHarbor, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("nvapi-S3cret\n")
    code, out, err = call(*REPLICATE, "--ngc-key-file", "key", "--format", "json")
    assert code == 0, err
    assert "nvapi" not in out + err
    (registry,) = replicating.double.state.registries.values()
    assert registry["credential"]["access_key"] == "$oauthtoken"
    assert [step["state"] for step in json.loads(out)["steps"]] == ["made", "made"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--from", "127.0.0.1:9"), 2, "--from does not go with --replicate"),
        (("--all-platforms",), 2, "--all-platforms does not go with --replicate"),
        (("--upstream", "nvcr.io"), 2, "write https://nvcr.io"),
        (("--upstream", "https://mirror.example"), 3, "is not on mirror.example"),
    ],
)
def test_what_replication_cannot_do(
    call: Call, harbor: RunningHarbor, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = call(*REPLICATE, *arguments)
    assert result[:2] == (code, "")
    assert says in result[2]
