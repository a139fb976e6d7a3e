"""`imgctl report`: what it says of signatures, and what it believes of what is attached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.layout import LayoutStore
from registry.oci import DOCKER_MANIFEST
from tests.unit.imgctl.records import TAG, Call, build_record, push_record, put, registry_with

REPOSITORY = "algorithms/mnist"


@pytest.fixture(autouse=True)
def keys(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pairs in the working folder: ours and other."""
    monkeypatch.setenv("IMGCTL_KEY_PASSWORD", "pass word")
    for name in ("ours", "other"):
        assert call("sign", "--generate-key", name)[0] == 0


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """An image on a registry, by digest, whose build and push lie in dist/."""
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + "dd" * 32]}
    with registry_with(REPOSITORY, TAG, rootfs=rootfs) as (host, digest):
        pushed = push_record(digest=digest, repository=f"{host}/{REPOSITORY}")
        base = {"reference": "nvcr.io/nvidia/l4t-base:r35.2.1", "digest": "sha256:" + "ee" * 32}
        built = build_record(digest=digest, media_type=DOCKER_MANIFEST, layers=[], base=base,
                             engine="direct", method="graft", platform="linux/arm64",
                             created="2023-02-01T10:11:12Z", labels={})  # fmt: skip
        LayoutStore.create(put(tmp_path / "dist", built, pushed))
        yield f"{host}/{REPOSITORY}@{digest}"


@pytest.fixture
def report(call: Call, image: str) -> Any:
    """`report(…)` is what the page says, as JSON."""

    def made(*options: str) -> dict[str, Any]:
        code, out, err = call("report", image, *options, "--format", "json")
        assert code == 0, err
        value: dict[str, Any] = json.loads(out)
        return value

    return made


def test_without_a_signature_it_says_so(report: Any) -> None:
    assert report()["signature"] == {"text": "not signed", "tone": "soft"}
    assert report("--key", "ours.pub")["signature"] == {"text": "not signed", "tone": "bad"}


def test_a_signature_is_good_only_by_the_key_that_was_given(
    call: Call, image: str, report: Any
) -> None:
    assert call("sign", image, "--key", "ours.key")[0] == 0
    assert "was not checked" in report()["signature"]["text"]
    assert report("--key", "ours.pub")["signature"]["tone"] == "good"
    refused = report("--key", "other.pub")["signature"]
    assert refused["tone"] == "bad"
    assert "not to be trusted" in refused["text"]


def test_an_sbom_that_no_given_key_signed_is_not_believed(
    call: Call, image: str, report: Any
) -> None:
    assert call("sign", image, "--key", "ours.key")[0] == 0
    assert call("attest", "mnist", "--key", "other.key")[0] == 0
    told = "as the attached SBOM lists them"
    assert told in report()["contents_told"]
    assert told not in report("--key", "ours.pub")["contents_told"]
    assert call("attest", "mnist", "--key", "ours.key")[0] == 0
    assert told in report("--key", "ours.pub")["contents_told"]


@pytest.mark.parametrize(
    ("label", "asked"),
    [
        ('{"kind": "service", "gpus": 1, "host_network": false}', True),
        ('{"kind": "service", "gpus": 0}', False),
        ('{"kind": "service", "gpus": 1e999}', False),
        ("not ours", False),
    ],
)
def test_manifests_ask_for_what_the_image_itself_says_it_needs(
    label: str, asked: bool, call: Call
) -> None:
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + "dd" * 32]}
    labels = {"Labels": {"io.imgctl.workload": label}}
    with registry_with("algorithms/foreign", TAG, rootfs=rootfs, config=labels) as (host, digest):
        name = f"{host}/algorithms/foreign@{digest}"
        code, out, _ = call("report", name, "--format", "json")
    assert code == 0
    assert ("nvidia.com/gpu" in str(json.loads(out)["manifests"])) is asked


def test_a_page_that_cannot_be_written_is_one_clear_error(
    call: Call, image: str, tmp_path: Path
) -> None:
    code, out, err = call("report", image, "-o", "missing/page.html")
    assert (code, out) == (1, "")
    assert "cannot write missing/page.html" in err
    assert list(tmp_path.glob("*.html")) == []
