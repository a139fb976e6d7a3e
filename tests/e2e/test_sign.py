"""Signatures beside the real cosign on a real registry: it believes ours, we believe its, and
neither believes what was forged."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.oci import OCI_CONFIG, OCI_MANIFEST, Descriptor, Document, sha256
from registry.repository import Repository
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.signing import tags
from registry.signing.bundle import BUNDLE, EMPTY, Bundle, referrer
from registry.signing.dsse import IN_TOTO, Envelope
from registry.signing.keys import PrivateKey
from registry.signing.statement import signature_of
from registry.store import Store
from registry.transfer import CopyOptions, copy
from tests.e2e.conftest import Imgctl, TokenRegistry
from tests.e2e.support.cosign import PASSWORD, Cosign
from tests.e2e.support.registries import RunningRegistry
from tests.unit.registry.images import chunks_of

REVISION = "0123456789" * 4
SOURCE = ("--source", "https://git.example/acme/images", "--revision", REVISION)
KEY = {"IMGCTL_KEY_PASSWORD": PASSWORD}
TYPES = {
    "provenance": "slsaprovenance1",
    "spdx": "spdxjson",
    "cyclonedx": "cyclonedx",
}
POLICY = """
bases: [nvcr.io/nvidia/l4t-*]
builders: ["urn:imgctl:builder:local"]
sources: ["https://git.example/acme/*"]
platforms: [linux/arm64]
require: [provenance, sbom]
"""

_projects = count()


@pytest.fixture
def cosign(tmp_path: Path) -> Cosign:
    """cosign, and pairs that it made: ours and theirs."""
    made = Cosign.installed(tmp_path)
    made.generate("ours")
    made.generate("theirs")
    return made


@pytest.fixture
def image(base_image: RunningRegistry, imgctl: Imgctl) -> str:
    """A build that is pushed and not signed, by digest."""
    mirror = ("--base-mirror", base_image.host)
    imgctl("build", "mnist", "--l4t", "r35.2.1", "--engine", "direct", *mirror, *SOURCE).check()
    place = f"{base_image.host}/signing-{next(_projects)}"
    done = imgctl("push", "mnist", "--registry", place, *mirror, "--format", "json").check()
    record = json.loads(done.stdout)
    record = record[0] if isinstance(record, list) else record
    return f"{record['repository']}@{record['digest']}"


@pytest.fixture
def store(image: str) -> Iterator[Repository]:
    """The repository the image is in."""
    host, _, name = image.partition("@")[0].partition("/")
    with RegistryClient(RegistryOptions()) as client:
        yield client.repository(host, name, push=True)


def put(store: Store, media_type: str, content: bytes) -> Descriptor:
    descriptor = Descriptor(media_type, sha256(content), len(content))
    store.push_blob(descriptor, chunks_of(content))
    return descriptor


def our_key(folder: Path) -> PrivateKey:
    pem = (folder / "ours.key").read_bytes()
    return PrivateKey.parse(pem, PASSWORD.encode)


@pytest.mark.parametrize("form", ["bundle", "tag", "both"])
def test_cosign_believes_what_imgctl_signs_with_cosigns_key(
    cosign: Cosign, image: str, imgctl: Imgctl, form: str
) -> None:
    imgctl("sign", image, "--key", "ours.key", "--signature-format", form, env=KEY).check()
    done = cosign.verify("ours.pub", image)
    # cosign 2 looks for signatures under the tag only.
    assert (done.returncode == 0) is (cosign.newer or form != "bundle"), done.stderr
    if done.returncode == 0:
        assert image.partition("@")[2] in done.stdout
    assert cosign.verify("theirs.pub", image).returncode != 0


@pytest.mark.parametrize("bundle", [True, False])
def test_cosign_believes_what_imgctl_attests(
    cosign: Cosign, image: str, imgctl: Imgctl, bundle: bool
) -> None:
    form = "bundle" if bundle else "tag"
    imgctl("attest", "mnist", "--key", "ours.key", "--signature-format", form, env=KEY).check()
    for kind in TYPES.values():
        done = cosign.verify_attestation("ours.pub", image, kind, bundle=bundle)
        assert done.returncode == 0, f"{kind}\n{done.stderr}"
        assert cosign.verify_attestation("theirs.pub", image, kind, bundle=bundle).returncode != 0


def test_on_a_registry_with_the_referrers_api_no_tag_stands_in_for_it(
    cosign: Cosign, image: str, store: Repository, imgctl: Imgctl
) -> None:
    digest = image.partition("@")[2]
    with (
        serve(MemoryRegistry(referrers=True)) as host,
        RegistryClient(RegistryOptions()) as client,
    ):
        target = client.repository(host, "algorithms/mnist", push=True)
        copy(store, target, digest, "1.0.0")
        reference = f"{host}/algorithms/mnist@{digest}"
        bundle = ("--key", "ours.key", "--signature-format", "bundle")
        imgctl("sign", reference, *bundle, env=KEY).check()
        imgctl("attest", reference, *bundle, env=KEY).check()
        assert target.tags() == ["1.0.0"]
        assert (cosign.verify("ours.pub", reference).returncode == 0) is cosign.newer
        for kind in TYPES.values():
            done = cosign.verify_attestation("ours.pub", reference, kind, bundle=True)
            assert done.returncode == 0, done.stderr
        cosign.sign("theirs.key", reference, bundle=cosign.newer)
        imgctl("verify", reference, "--key", "theirs.pub").check()


@pytest.mark.parametrize("algorithm", ["ED25519", "RSA"])
def test_other_kinds_of_keys_serve_both_programs(
    cosign: Cosign, image: str, imgctl: Imgctl, algorithm: str
) -> None:
    folder = cosign.folder
    _shell(f"openssl genpkey -algorithm {algorithm} -out plain.pem", folder)
    _shell("openssl pkey -in plain.pem -pubout -out plain.pub", folder)
    imgctl("sign", image, "--key", "plain.pem").check()
    imgctl("verify", image, "--key", "plain.pub").check()
    assert cosign.verify("plain.pub", image).returncode == 0
    if algorithm == "ED25519":
        # cosign takes no RSA keys in; of Ed25519, version 3 makes another kind of signature.
        cosign.check("import-key-pair", "--key", "plain.pem", "--output-key-prefix", "taken")
        for bundle in (False, True):
            cosign.sign("taken.key", image, bundle=bundle)
        found = imgctl("verify", image, "--key", "taken.pub", "--format", "json").check()
        shown = json.loads(found.stdout)
        assert shown["passed_over"] == []
        bundles = [item for item in shown["signatures"] if item["form"] == "bundle"]
        assert len(bundles) == (2 if cosign.newer else 1)


def test_cosign_believes_a_pair_that_imgctl_made(
    cosign: Cosign, image: str, imgctl: Imgctl
) -> None:
    imgctl("sign", "--generate-key", "made", env=KEY).check()
    imgctl("sign", image, "--key", "made.key", env=KEY).check()
    assert cosign.verify("made.pub", image).returncode == 0
    cosign.sign("made.key", image, bundle=False)
    imgctl("verify", image, "--key", "made.pub").check()


@pytest.mark.parametrize("bundle", [True, False])
def test_imgctl_believes_what_cosign_signs_and_attests(
    cosign: Cosign, image: str, imgctl: Imgctl, tmp_path: Path, bundle: bool
) -> None:
    cosign.sign("theirs.key", image, bundle=bundle)
    imgctl("attest", "mnist", "--dry-run", "-o", "docs").check()
    for name, kind in TYPES.items():
        ending = "cdx" if name == "cyclonedx" else name
        document = tmp_path / "docs" / f"mnist.{ending}.json"
        cosign.attest("theirs.key", image, kind, document, bundle=bundle)
    (tmp_path / "policy.yaml").write_text(POLICY)
    arguments = ("verify", image, "--key", "theirs.pub", "--policy", "policy.yaml")
    shown = json.loads(imgctl(*arguments, "--format", "json").check().stdout)
    form = "bundle" if bundle else "tag"
    assert {item["form"] for item in shown["attestations"]} == {form}
    assert len(shown["attestations"]) == len(TYPES)
    assert shown["provenance"][0]["sources"] == ["git+https://git.example/acme/images"]
    assert shown["passed_over"] == []
    assert imgctl("verify", image, "--key", "ours.pub").code == 3


def test_signatures_of_both_programs_and_several_keys_lie_side_by_side(
    cosign: Cosign, image: str, imgctl: Imgctl
) -> None:
    cosign.sign("theirs.key", image, bundle=False)
    imgctl("sign", image, "--key", "ours.key", env=KEY).check()
    cosign.sign("theirs.key", image, bundle=True)
    for name in ("ours.pub", "theirs.pub"):
        imgctl("verify", image, "--key", name).check()
        assert cosign.verify(name, image).returncode == 0


def test_signing_again_changes_nothing(cosign: Cosign, image: str, imgctl: Imgctl) -> None:
    shown = []
    for _ in range(2):
        imgctl("sign", "mnist", "--key", "ours.key", env=KEY).check()
        imgctl("attest", "mnist", "--key", "ours.key", env=KEY).check()
        shown.append(imgctl("verify", image, "--key", "ours.pub", "--format", "json").stdout)
    assert shown[0] == shown[1]
    assert len(json.loads(shown[0])["signatures"]) == 2
    assert len(json.loads(shown[0])["attestations"]) == 6


def forge_replay_bundle(
    store: Repository, image: Document, other: Document, key: PrivateKey
) -> None:
    """A good bundle of another image, attached to this one."""
    envelope = Envelope.signed(signature_of(other.digest).payload(), IN_TOTO, key)
    _attach(store, image, Bundle(envelope, key.public.hint).raw())


def forge_replay_tag(store: Repository, image: Document, other: Document, key: PrivateKey) -> None:
    """A good signature of another image, under this one's tag."""
    payload = tags.simple_payload(str(store), other.digest)
    _hold(store, image, payload, key.sign(payload))


def forge_changed_bundle(
    store: Repository, image: Document, other: Document, key: PrivateKey
) -> None:
    """A good signature, the statement below it exchanged for one of this image."""
    good = Envelope.signed(signature_of(other.digest).payload(), IN_TOTO, key)
    forged = Envelope(signature_of(image.digest).payload(), IN_TOTO, good.signatures)
    _attach(store, image, Bundle(forged, key.public.hint).raw())


def forge_changed_tag(store: Repository, image: Document, other: Document, key: PrivateKey) -> None:
    """The same under the tag."""
    signature = key.sign(tags.simple_payload(str(store), other.digest))
    _hold(store, image, tags.simple_payload(str(store), image.digest), signature)


def forge_missing_referrer(
    store: Repository, image: Document, other: Document, key: PrivateKey
) -> None:
    """A good bundle that is listed, its manifest deleted."""
    envelope = Envelope.signed(signature_of(image.digest).payload(), IN_TOTO, key)
    made = _attach(store, image, Bundle(envelope, key.public.hint).raw())
    store.delete_manifest(made.digest)


def _attach(store: Repository, image: Document, raw: bytes) -> Document:
    made = referrer(image.descriptor, raw, signature_of("").predicate_type)
    put(store, "", EMPTY)
    put(store, BUNDLE, raw)
    store.put_manifest(made)
    return made


def _hold(store: Repository, image: Document, payload: bytes, signature: bytes) -> None:
    made, config = tags.holder([tags.signature_layer(payload, signature)])
    put(store, "", payload)
    put(store, OCI_CONFIG, config)
    store.put_manifest(made, tags.tag_for(image.digest, "sig"))


Forge = Callable[[Repository, Document, Document, PrivateKey], None]


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (forge_replay_bundle, "it is for another image"),
        (forge_replay_tag, "it is for another image"),
        (forge_changed_bundle, "its content was changed"),
        (forge_changed_tag, "its content was changed"),
        (forge_missing_referrer, "it is listed and not there"),
    ],
)
def test_what_was_forged_neither_believes(
    cosign: Cosign,
    image: str,
    imgctl: Imgctl,
    store: Repository,
    tmp_path: Path,
    forge: Forge,
    said: str,
) -> None:
    document = store.manifest(image.partition("@")[2])
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": put(store, OCI_CONFIG, b"{}").to_json(),
        "layers": [],
    }
    other = Document.of(value, OCI_MANIFEST)
    store.put_manifest(other)
    forge(store, document, other, our_key(tmp_path))
    done = imgctl("verify", image, "--key", "ours.pub")
    assert done.code == 3
    assert done.stdout == ""
    assert said in done.stderr
    assert cosign.verify("ours.pub", image).returncode != 0


def test_an_image_without_any_signature_is_refused(
    cosign: Cosign, image: str, imgctl: Imgctl
) -> None:
    done = imgctl("verify", image, "--key", "ours.pub")
    assert done.code == 3
    assert "is not signed" in done.stderr


def test_a_copy_keeps_its_signatures_and_attestations(
    cosign: Cosign, image: str, imgctl: Imgctl, store: Repository
) -> None:
    """Signatures are over the digest, wherever it is."""
    imgctl("sign", image, "--key", "ours.key", env=KEY).check()
    imgctl("attest", "mnist", "--key", "ours.key", env=KEY).check()
    place = f"{store.host}/promoted-{next(_projects)}/mnist"
    with RegistryClient(RegistryOptions()) as client:
        target = client.repository(store.host, place.partition("/")[2], push=True)
        digest = image.partition("@")[2]
        copy(store, target, digest, "1.0.0", options=CopyOptions(referrers=True))
    shown = json.loads(
        imgctl("verify", f"{place}:1.0.0", "--key", "ours.pub", "--format", "json").check().stdout
    )
    assert shown["digest"] == digest
    assert (len(shown["signatures"]), len(shown["attestations"])) == (2, 6)
    assert cosign.verify("ours.pub", f"{place}@{digest}").returncode == 0


def test_what_went_over_a_thin_link_is_verified_before_it_is_imported(
    cosign: Cosign, base_image: RunningRegistry, image: str, imgctl: Imgctl
) -> None:
    imgctl("sign", image, "--key", "ours.key", env=KEY).check()
    imgctl("attest", "mnist", "--key", "ours.key", env=KEY).check()
    imgctl("copy", image, "oci-archive:carried.tar:1.0.0", "--referrers").check()
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    arguments = ("verify", "oci-archive:carried.tar", "--format", "json", "--key")
    shown = json.loads(imgctl(*arguments, "ours.pub", env=nowhere).check().stdout)
    assert shown["digest"] == image.partition("@")[2]
    assert (len(shown["signatures"]), len(shown["attestations"])) == (2, 6)
    assert imgctl(*arguments, "theirs.pub", env=nowhere).code == 3


def test_a_key_service_signs_by_command(
    cosign: Cosign, image: str, imgctl: Imgctl, tmp_path: Path
) -> None:
    """OpenSSL stands for a key service's command line."""
    plain = tmp_path / "vault.pem"
    _shell("openssl ecparam -name prime256v1 -genkey -noout -out vault.pem", tmp_path)
    _shell("openssl ec -in vault.pem -pubout -out vault.pub", tmp_path)
    command = f"sh -c 'openssl dgst -sha256 -sign {plain} | base64 -w0'"
    arguments = ("sign", image, "--key", "vault.pub", "--key-command", command)
    imgctl(*arguments).check()
    assert cosign.verify("vault.pub", image).returncode == 0
    imgctl("verify", image, "--key", "vault.pub").check()
    done = imgctl("sign", image, "--key", "ours.pub", "--key-command", command)
    assert done.code == 1
    assert "does not accept" in done.stderr


def _shell(command: str, folder: Path) -> None:
    subprocess.run(shlex.split(command), cwd=folder, check=True, capture_output=True)


def test_signing_with_a_robot_account_behind_tokens(
    cosign: Cosign,
    base_image: RunningRegistry,
    token_registry: TokenRegistry,
    imgctl: Imgctl,
    tmp_path: Path,
) -> None:
    registry = token_registry.registry
    login = {"IMGCTL_USERNAME": registry.username, "IMGCTL_PASSWORD": registry.password, **KEY}
    mirror = ("--base-mirror", base_image.host)
    imgctl("build", "mnist", "--l4t", "r35.2.1", "--engine", "direct", *mirror).check()
    imgctl("push", "mnist", "--registry", f"{registry.host}/signing", *mirror, env=login).check()
    imgctl("sign", "mnist", "--key", "ours.key", env=login).check()
    imgctl("attest", "mnist", "--key", "ours.key", env=login).check()
    (tmp_path / "policy.yaml").write_text("require: [provenance, sbom]\n")
    arguments = ("verify", "mnist", "--key", "ours.pub", "--policy", "policy.yaml")
    imgctl(*arguments, env=login).check()
    done = imgctl(*arguments)
    assert done.code == 1
    assert "imgctl login" in done.stderr


def test_a_registry_that_is_gone_ends_with_1(cosign: Cosign, imgctl: Imgctl) -> None:
    done = imgctl("verify", f"127.0.0.1:9/a/b@sha256:{'0' * 64}", "--key", "ours.pub")
    assert done.code == 1
    assert done.stderr
