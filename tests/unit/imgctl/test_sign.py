"""`imgctl sign`, `attest` and `verify`: what they take, what they say, how they end."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.layout import LayoutStore
from registry.oci import DOCKER_MANIFEST, OCI_LAYER_GZIP
from registry.signing.keys import PrivateKey
from tests.unit.imgctl.records import TAG, Call, build_record, push_record, put, registry_with
from tests.unit.registry.images import put_image as layout_image

REPOSITORY = "algorithms/mnist"


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password for keys, and nothing of the caller's."""
    monkeypatch.setenv("IMGCTL_KEY_PASSWORD", "pass word")
    for name in ("COSIGN_PASSWORD", "GITHUB_SERVER_URL", "GITHUB_WORKFLOW_REF", "IMGCTL_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """An image on a registry, by digest, whose build and push lie in dist/."""
    with registry_with(REPOSITORY, TAG) as (host, digest):
        pushed = push_record(digest=digest, repository=f"{host}/{REPOSITORY}")
        base = {"reference": "nvcr.io/nvidia/l4t-base:r35.2.1", "digest": "sha256:" + "ee" * 32}
        source = {"org.opencontainers.image.source": "https://git.example/acme"}
        built = build_record(digest=digest, media_type=DOCKER_MANIFEST, layers=[], base=base,
                             engine="direct", method="graft", platform="linux/arm64",
                             created="2023-02-01T10:11:12Z", labels=source)  # fmt: skip
        LayoutStore.create(put(tmp_path / "dist", built, pushed))
        yield f"{host}/{REPOSITORY}@{digest}"


@pytest.fixture
def keys(call: Call) -> None:
    """A pair in the working folder: ours.key, ours.pub."""
    code, out, _ = call("sign", "--generate-key", "ours")
    assert (code, out.split()[0]) == (0, "ours.key")


@pytest.mark.usefixtures("keys")
def test_signed_by_name_verified_by_reference(call: Call, image: str) -> None:
    code, out, _ = call("sign", "mnist", "--key", "ours.key", "--format", "json")
    assert code == 0
    signed = json.loads(out)
    assert signed["reference"] == image
    code, out, err = call("verify", image, "--key", "ours.pub", "--format", "json")
    assert (code, err) == (0, "")
    verified = json.loads(out)
    assert verified["platforms"] == ["linux/arm64"]
    assert {item["form"] for item in verified["signatures"]} == {"bundle", "tag"}
    assert {item["key"] for item in verified["signatures"]} == {signed["key"]}


@pytest.mark.usefixtures("keys")
def test_a_tag_is_verified_as_what_it_names_now(call: Call, image: str) -> None:
    call("sign", image, "--key", "ours.key", "--signature-format", "tag")
    code, out, _ = call("verify", image.partition("@")[0] + f":{TAG}", "--key", "ours.pub")
    assert code == 0
    assert out.splitlines()[0] == f"verified {image}"


@pytest.mark.usefixtures("keys")
def test_an_image_nobody_signed_ends_with_3(call: Call, image: str) -> None:
    code, out, err = call("verify", image, "--key", "ours.pub")
    assert (code, out) == (3, "")
    assert "is not signed" in err


@pytest.mark.usefixtures("keys")
def test_a_registry_that_does_not_have_it_ends_with_1(call: Call, image: str) -> None:
    for name in (image.partition("@")[0] + ":none", "127.0.0.1:9/a/b:c"):
        code, _, err = call("verify", name, "--key", "ours.pub")
        assert code == 1
        assert err


POLICY = """
bases: [nvcr.io/nvidia/l4t-*]
builders: ["https://github.com/acme/images/*"]
sources: ["https://git.example/*"]
platforms: linux/arm64
require: [provenance, sbom]
"""


@pytest.mark.usefixtures("keys")
def test_attested_in_a_workflow_and_allowed_by_a_policy(
    call: Call, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", "acme/images/.github/workflows/r.yml@refs/tags/1")
    call("sign", image, "--key", "ours.key")
    code, out, _ = call("attest", "mnist", "--key", "ours.key", "-o", "docs")
    assert code == 0
    assert out.startswith("attested ")
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == [
        "mnist.cdx.json",
        "mnist.provenance.json",
        "mnist.spdx.json",
    ]
    (tmp_path / "policy.yaml").write_text(POLICY)
    code, out, _ = call("verify", image, "--key", "ours.pub", "--policy", "policy.yaml")
    assert code == 0
    assert "builder    https://github.com/acme/images/.github/workflows/r.yml@refs/tags/1" in out
    assert "source     git+https://git.example/acme" in out
    (tmp_path / "imgctl.yaml").write_text("policy:\n  bases: [ghcr.io/*]\n")
    code, _, err = call("verify", image, "--key", "ours.pub")
    assert code == 3
    assert "its base is nvcr.io/nvidia/l4t-base:r35.2.1" in err


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("scheme", ["oci", "oci-archive"])
def test_a_copy_is_verified_without_any_registry(call: Call, tmp_path: Path, scheme: str) -> None:
    layout_image(LayoutStore.create(tmp_path / "source"), "1.0.0")
    assert call("sign", "oci:source", "--key", "ours.key")[0] == 0
    place = f"{scheme}:copy"
    assert call("copy", "oci:source:1.0.0", place, "--referrers")[0] == 0
    code, out, _ = call("verify", place, "--key", "ours.pub")
    assert code == 0
    assert out.startswith(f"verified {place}@sha256:")
    call("sign", "--generate-key", "theirs")
    code, _, err = call("verify", f"{place}:1.0.0", "--key", "theirs.pub")
    assert code == 3
    assert "has no valid signature" in err


def test_a_dry_run_of_attest_needs_no_key_and_attaches_nothing(call: Call, image: str) -> None:
    code, out, _ = call("attest", image, "--dry-run", "--format", "json", "--type", "provenance")
    assert code == 0
    (shown,) = json.loads(out)["attestations"]
    assert (shown["attached"], shown["file"]) == (None, None)
    assert shown["predicate"]["runDetails"]["builder"]["id"] == "urn:imgctl:builder:local"


@pytest.mark.usefixtures("keys")
def test_an_image_that_was_built_elsewhere_cannot_be_attested_here(call: Call, image: str) -> None:
    code, _, err = call("attest", image, "--key", "ours.key", "--dist", "elsewhere")
    assert code == 2
    assert "elsewhere holds no build" in err


def test_a_missing_layer_is_told_before_anything_is_attached(
    call: Call, image: str, tmp_path: Path
) -> None:
    path = tmp_path / "dist" / "mnist" / TAG / "build.json"
    value = json.loads(path.read_text())
    value["layers"] = [{"digest": "sha256:" + "9" * 64, "size": 1, "media_type": OCI_LAYER_GZIP,
                        "ours": True}]  # fmt: skip
    path.write_text(json.dumps(value))
    code, _, err = call("attest", image, "--dry-run")
    assert code == 2
    assert "is missing" in err


@pytest.mark.usefixtures("keys")
def test_a_pair_is_never_overwritten(call: Call, tmp_path: Path) -> None:
    before = (tmp_path / "ours.key").read_bytes()
    code, _, err = call("sign", "--generate-key", "ours")
    assert code == 2
    assert "exists already" in err
    assert (tmp_path / "ours.key").read_bytes() == before


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sign",), "which image?"),
        (("sign", "h.example/a:1"), "which key?"),
        (("sign", "h.example/a:1", "--key", "none.key"), "cannot read the key none.key"),
        (("sign", "h.example/a:1", "--key", "env://NONE"), "the variable NONE holds no key"),
        (("sign", "h.example/a:1", "--key", "ours.pub"), "ours.pub is a public key"),
        (("sign", "h.example/a:1", "--key-command", "true"), "the public half"),
        (("sign", "h.example/a:1", "--generate-key", "x"), "not both"),
        (("sign", "nothing-built"), "no image 'nothing-built'"),
        (("verify", "h.example/a:1"), "which key?"),
        (("verify", "h.example/a:1", "--key", "ours.key"), "ours.key is a private key"),
        (("verify", "h.example/a:1", "--key", "ours.pub", "--policy", "no.yaml"), "no.yaml"),
        (("verify", "h.example/a:1", "--key", "ours.pub", "--policy", "ours.pub"), "ours.pub"),
        (("attest", "http://h.example/a"), "given as a URL"),
        (("attest", "oci:dir"), "is in no registry"),
        (("sign", "oci:dir", "--key", "ours.key"), "there is no directory dir"),
        (("sign", "oci-archive:x.tar", "--key", "ours.key"), "copy it with --referrers"),
        (("verify", "oci-archive:x.tar", "--key", "ours.pub"), "x.tar"),
    ],
)
def test_bad_input_ends_with_2_and_one_clear_error(
    call: Call, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("asked", [("--require-signature",), ("--key", "ours.pub")])
def test_manifests_only_of_a_signed_image(
    call: Call,
    image: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: tuple[str, ...],
) -> None:
    monkeypatch.setenv("IMGCTL_PUBLIC_KEY", "ours.pub")
    (tmp_path / "imgctl.yaml").write_text("sign:\n  key: ours.key\n")
    for name in ("mnist", image):
        assert call("manifests", name)[0] == 0
        code, out, err = call("manifests", name, *asked)
        assert (code, out) == (3, "")
        assert "is not signed" in err
    call("sign", "mnist")
    for name in ("mnist", image):
        code, out, _ = call("manifests", name, *asked)
        assert code == 0
        assert f"image: {image}" in out
    code, _, err = call("manifests", image, "--offline", *asked)
    assert code == 2
    assert "--offline" in err


@pytest.mark.usefixtures("keys")
def test_manifests_only_as_a_policy_allows(call: Call, image: str, tmp_path: Path) -> None:
    call("sign", image, "--key", "ours.key")
    (tmp_path / "policy.yaml").write_text("require: sbom\n")
    code, _, err = call("manifests", "mnist", "--key", "ours.pub", "--policy", "policy.yaml")
    assert code == 3
    assert "no signed sbom" in err
    code, _, err = call("manifests", "mnist", "--policy", "policy.yaml")
    assert code == 2
    assert "which key?" in err


@pytest.mark.usefixtures("keys")
def test_a_wrong_password_is_told_and_not_shown(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCTL_KEY_PASSWORD", "s3cret-and-wrong")
    code, _, err = call("sign", "h.example/a:1", "--key", "ours.key")
    assert code == 2
    assert "the password of ours.key is wrong" in err
    assert "s3cret" not in err


@pytest.mark.usefixtures("keys")
def test_a_key_may_come_from_a_variable_and_its_password_from_cosigns(
    call: Call, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNING_KEY", (tmp_path / "ours.key").read_text())
    monkeypatch.delenv("IMGCTL_KEY_PASSWORD")
    monkeypatch.setenv("COSIGN_PASSWORD", "pass word")
    code, _, _ = call("sign", image, "--key", "env://SIGNING_KEY")
    assert code == 0
    assert call("verify", image, "--key", "ours.pub")[0] == 0


def test_nobody_to_ask_for_a_password_is_bad_input(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMGCTL_KEY_PASSWORD")
    code, _, err = call("sign", "--generate-key", "x")
    assert code == 2
    assert "set IMGCTL_KEY_PASSWORD or COSIGN_PASSWORD" in err


# Makes the terminal its own before it starts, so that passwords are asked for there.
AT_ITS_TERMINAL = (
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "from imgctl.cli import main; main()"
)


def at_a_terminal(folder: Path, arguments: list[str], answers: list[bytes]) -> tuple[int, str]:
    """Run the program at a terminal of its own, answering each `Password…:` in turn."""
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("IMGCTL_KEY_PASSWORD", "COSIGN_PASSWORD")}  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", AT_ITS_TERMINAL, *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, start_new_session=True,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
            # By what came just now: an answer given before it is asked for is thrown away.
            if answers and chunk.rstrip().endswith(b":"):
                os.write(ours, answers.pop(0) + b"\n")
        code = process.wait(20)
    os.close(ours)
    return code, seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        # That is how Linux says that nobody holds the other end any more.
        return b""


def test_a_person_is_asked_for_the_password_and_it_is_not_shown(tmp_path: Path) -> None:
    secret = b"typed s3cret"
    code, seen = at_a_terminal(tmp_path, ["sign", "--generate-key", "mine"], [secret, secret])
    assert code == 0, seen
    assert seen.count("Password of the new key") == 1
    assert "s3cret" not in seen
    pem = (tmp_path / "mine.key").read_bytes()
    assert PrivateKey.parse(pem, lambda: secret).public
    # The password is asked for before anything is asked of the registry.
    arguments = ["sign", "127.0.0.1:9/a/b:1", "--key", "mine.key"]
    code, seen = at_a_terminal(tmp_path, arguments, [b"wrong"])
    assert code == 2
    assert "the password of mine.key is wrong" in seen
    assert at_a_terminal(tmp_path, arguments, [secret])[0] == 1
