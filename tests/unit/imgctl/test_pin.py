"""`imgctl pin` as users run it, against a registry on loopback."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from imgctl.cli import cli
from imgctl.output import run
from registry.client import RegistryClient, RegistryOptions
from registry.oci import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor, Document, sha256
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve

POD = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: {image}   # keep me\n"

Imgctl = Callable[..., tuple[int, str, str]]


def push(host: str, name: str, tag: str, architecture: str = "arm64", note: str = "") -> str:
    """Push an empty image; its digest."""
    config = json.dumps({"os": "linux", "architecture": architecture, "note": note}).encode()
    described = Descriptor(OCI_CONFIG, sha256(config), len(config))
    value = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described.to_json(),
             "layers": []}  # fmt: skip
    document = Document.of(value, OCI_MANIFEST)
    with RegistryClient(RegistryOptions()) as client:
        repository = client.repository(host, name, push=True)
        repository.push_blob(described, lambda: nullcontext(iter([config])))
        repository.put_manifest(document, tag)
    return document.digest


def push_index(host: str, name: str, tag: str) -> tuple[str, str]:
    """Push an index of arm64 and amd64; its digest, and the arm64 manifest's."""
    digests = {kind: push(host, name, f"{tag}-{kind}", kind) for kind in ("arm64", "amd64")}
    with RegistryClient(RegistryOptions()) as client:
        repository = client.repository(host, name, push=True)
        entries = []
        for kind, digest in digests.items():
            found = repository.manifest(digest).descriptor
            entries.append(found.to_json() | {"platform": {"os": "linux", "architecture": kind}})
        index = Document.of(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, OCI_INDEX
        )
        repository.put_manifest(index, tag)
    return index.digest, digests["arm64"]


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with serve(MemoryRegistry()) as host:
        yield host


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / ".docker"))
    return tmp_path


@pytest.fixture
def imgctl(capfd: pytest.CaptureFixture[str]) -> Imgctl:
    def call(*args: str) -> tuple[int, str, str]:
        code = run(cli, ["pin", *args])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def pod(folder: Path) -> Callable[..., Path]:
    def write(image: str, name: str = "pod.yaml") -> Path:
        path = folder / name
        path.write_text(POD.format(image=image))
        return path

    return write


def test_a_dry_run_shows_the_diff_and_writes_nothing(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str, folder: Path
) -> None:
    digest = push(registry, "p/app", "1")
    path = pod(f"{registry}/p/app:1")
    before = path.read_text()
    code, out, err = imgctl("pod.yaml", "--dry-run")
    assert code == 0
    assert f"\n+  - image: {registry}/p/app:1@{digest}   # keep me\n" in out
    assert "1 image field, 1 to pin" in err
    assert path.read_text() == before
    assert [item.name for item in folder.iterdir()] == ["pod.yaml"]


def test_it_pins_the_file_and_locks_the_tag_and_a_second_run_has_nothing_to_do(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str, folder: Path
) -> None:
    digest = push(registry, "p/again", "1")
    path = pod(f"{registry}/p/again:1")
    assert imgctl(".")[0] == 0
    assert path.read_text() == POD.format(image=f"{registry}/p/again:1@{digest}")
    assert digest in (folder / "imgctl.lock.yaml").read_text()
    code, out, err = imgctl(".")
    assert (code, out) == (0, "")
    assert "1 image field, 0 to pin" in err


def test_the_lock_holds_while_the_tag_moves_until_update(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str
) -> None:
    first = push(registry, "p/moves", "1", note="first")
    pod(f"{registry}/p/moves:1")
    imgctl(".")
    second = push(registry, "p/moves", "1", note="second")
    other = pod(f"{registry}/p/moves:1", "other.yaml")
    assert imgctl(".")[0] == 0
    assert first in other.read_text()
    assert imgctl(".", "--check")[0] == 0
    code, out, _ = imgctl(".", "--check", "--update")
    assert code == 3
    assert f"is now {registry}/p/moves:1@{second}" in out
    assert imgctl(".", "--update")[0] == 0
    assert second in other.read_text()


def test_the_platforms_manifest_is_pinned_or_the_index_as_asked(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str
) -> None:
    index, arm64 = push_index(registry, "p/many", "1")
    pod(f"{registry}/p/many:1")
    assert f"@{arm64}" in imgctl("pod.yaml", "--dry-run")[1]
    assert f"@{index}" in imgctl("pod.yaml", "--dry-run", "--resolve", "index")[1]
    code, _, err = imgctl("pod.yaml", "--platform", "linux/s390x")
    assert code == 1
    assert "linux/amd64, linux/arm64" in err


def test_an_image_for_another_processor_is_refused_with_its_place(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str
) -> None:
    push(registry, "p/pc", "1", "amd64")
    pod(f"{registry}/p/pc:1")
    code, out, err = imgctl("pod.yaml")
    assert (code, out) == (3, "")
    assert "pod.yaml:5" in err
    assert "is for linux/amd64, not linux/arm64" in err


def test_check_fails_for_what_is_not_pinned_and_asks_nobody(
    imgctl: Imgctl, pod: Callable[..., Path]
) -> None:
    pod("no-such-host.invalid/p/app:1")
    code, out, err = imgctl("pod.yaml", "--check")
    assert code == 3
    assert out == "pod.yaml:5: no-such-host.invalid/p/app:1: not pinned to a digest\n"
    assert "run `imgctl pin`" in err


def test_check_fails_for_a_stale_lock(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str
) -> None:
    digest = push(registry, "p/stale", "1")
    pod(f"{registry}/p/stale:1@{digest}")
    code, out, _ = imgctl(".", "--check")
    assert (code, "not in imgctl.lock.yaml" in out) == (3, True)
    assert imgctl(".", "--check", "--no-lock")[0] == 0


def test_check_fails_when_a_pinned_digest_is_gone(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str
) -> None:
    gone = f"{registry}/p/gone@sha256:{'0' * 64}"
    pod(gone)
    code, _, err = imgctl("pod.yaml", "--check")
    assert code == 1
    assert f"{gone} is not in its registry" in err
    assert imgctl("pod.yaml", "--check", "--offline")[0] == 0


def test_a_push_record_replaces_by_name(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str, folder: Path
) -> None:
    digest = push(registry, "algorithms/mnist", "1.0.0-l4t-r35.2.1")
    record = {
        "schema": 1, "kind": "push", "image": "mnist", "digest": digest,
        "repository": f"{registry}/algorithms/mnist", "tags": ["1.0.0-l4t-r35.2.1"],
    }  # fmt: skip
    (folder / "push.json").write_text(json.dumps(record))
    path = pod("mnist")
    assert imgctl("pod.yaml", "--image", "push.json")[0] == 0
    pinned = f"{registry}/algorithms/mnist:1.0.0-l4t-r35.2.1@{digest}"
    assert path.read_text() == POD.format(image=pinned)
    pod("app")
    assert imgctl("pod.yaml", "--image", f"app={pinned}")[0] == 0
    assert path.read_text() == POD.format(image=pinned)


def test_every_push_below_a_folder_replaces_by_its_own_name(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str, folder: Path
) -> None:
    images = {}
    for name in ("one", "two"):
        digest = push(registry, f"algorithms/{name}", "1.0.0-l4t-r35.2.1")
        images[name] = f"{registry}/algorithms/{name}:1.0.0-l4t-r35.2.1@{digest}"
        record = {
            "schema": 1, "kind": "push", "image": name, "digest": digest,
            "repository": f"{registry}/algorithms/{name}", "tags": ["1.0.0-l4t-r35.2.1"],
        }  # fmt: skip
        place = folder / "dist" / name / "1.0.0-l4t-r35.2.1"
        place.mkdir(parents=True)
        (place / "push.json").write_text(json.dumps(record))
    path = pod("one")
    code, _, err = imgctl("pod.yaml", "--image", "dist")
    assert code == 0
    assert path.read_text() == POD.format(image=images["one"])
    assert "no field names two" in err
    code, _, err = imgctl("pod.yaml", "--image", "dist", "--image", f"one={images['two']}")
    assert code == 2
    assert "one is given twice" in err
    assert imgctl("pod.yaml", "--image", "dist/none")[0] == 2


def test_a_build_that_is_used_nowhere_is_warned_of(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str
) -> None:
    digest = push(registry, "p/used", "1")
    pod(f"{registry}/p/used:1")
    code, _, err = imgctl("pod.yaml", "--image", f"mnist={registry}/p/used@{digest}")
    assert code == 0
    assert "is used nowhere: no field names mnist" in err


def test_lines_of_a_file_with_a_secret_are_not_shown(
    imgctl: Imgctl, registry: str, folder: Path
) -> None:
    digest = push(registry, "p/hush", "1")
    image = f"{registry}/p/hush:1"
    settings = json.dumps({"image": image, "password": "opensesame"})
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a.json": settings}}
    (folder / "a.yaml").write_text(json.dumps(secret))
    code, out, err = imgctl("a.yaml", "--no-lock")
    assert (code, out) == (0, f"a.yaml:1: {image} -> {image}@{digest}\n")
    assert "opensesame" not in err
    assert f"{image}@{digest}" in (folder / "a.yaml").read_text()


def test_what_others_fill_in_is_counted(imgctl: Imgctl, pod: Callable[..., Path]) -> None:
    pod("'{{ .Values.image }}'")
    code, out, err = imgctl("pod.yaml")
    assert (code, out) == (0, "")
    assert "1 image field, 0 to pin, 1 left alone" in err
    code, out, err = imgctl("pod.yaml", "--check")
    assert (code, out) == (0, "")
    assert "1 image field, 1 left alone" in err


def test_stdin_is_pinned_to_stdout(
    imgctl: Imgctl, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = push(registry, "p/pipe", "1")
    text = POD.format(image=f"{registry}/p/pipe:1").replace("\n", "\r\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, _ = imgctl("-")
    assert code == 0
    assert out == text.replace("pipe:1", f"pipe:1@{digest}")


def test_stdin_can_be_listed_and_checked_and_needs_no_lock(
    imgctl: Imgctl, registry: str, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    digest = push(registry, "p/list", "1")
    pinned = f"{registry}/p/list:1@{digest}"

    def stdin(image: str) -> None:
        data = io.BytesIO(POD.format(image=image).encode())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(data))

    stdin(f"{registry}/p/list:1")
    code, out, _ = imgctl("-", "--format", "json")
    assert (code, json.loads(out)["images"][0]["pinned"]) == (0, pinned)
    stdin(pinned)
    assert imgctl("-", "--check")[0] == 0
    stdin(f"{registry}/p/list:1")
    assert imgctl("-", "--check")[0] == 3
    assert list(folder.iterdir()) == []


def test_kustomize_builds_by_digest_what_was_pinned(
    imgctl: Imgctl, registry: str, folder: Path
) -> None:
    first, second = push(registry, "p/kust", "1"), push(registry, "p/kust", "2", note="second")
    path = folder / "kustomization.yaml"
    path.write_text(f"images:\n- name: app   # ours\n  newName: {registry}/p/kust\n  newTag: '1'\n")
    assert imgctl(".", "--check")[0] == 3
    assert imgctl(".")[0] == 0
    assert path.read_text().endswith(f"app   # ours\n  newName: {registry}/p/kust\n"
                                     f"  newTag: '1@{first}'\n")  # fmt: skip
    assert imgctl(".", "--check")[0] == 0
    assert imgctl(".", "--image", f"kust={registry}/p/kust:2@{second}")[0] == 0
    assert path.read_text().endswith(f"  newTag: '2@{second}'\n")


def test_what_cannot_be_written_leaves_every_file_as_it_was(
    imgctl: Imgctl, pod: Callable[..., Path], registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(registry, "p/busy", "1")
    paths = [pod(f"{registry}/p/busy:1", name) for name in ("a.yaml", "b.yaml")]
    before = [path.read_bytes() for path in paths]
    real = Path.replace

    def busy(self: Path, onto: Path) -> Path:
        if onto.name == "b.yaml":
            raise OSError(16, "Device or resource busy")
        return real(self, onto)

    monkeypatch.setattr(Path, "replace", busy)
    code, _, err = imgctl(".")
    assert code == 1
    assert "cannot write" in err
    assert "b.yaml" in err
    assert [path.read_bytes() for path in paths] == before
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["a.yaml", "b.yaml"]


def test_a_lock_without_a_folder_is_refused_before_anything_is_asked(
    imgctl: Imgctl, pod: Callable[..., Path]
) -> None:
    pod("no-such-host.invalid/p/app:1")
    code, _, err = imgctl(".", "--lock", "none/lock.yaml")
    assert (code, "the folder of none/lock.yaml is not there" in err) == (2, True)


def test_a_link_to_nowhere_is_said_by_name(
    imgctl: Imgctl, pod: Callable[..., Path], folder: Path
) -> None:
    (folder / "gone.yaml").symlink_to("nowhere")
    code, _, err = imgctl(".")
    assert (code, "cannot read gone.yaml" in err) == (2, True)


def test_json_below_a_folder_counts_where_it_holds_objects(
    imgctl: Imgctl, folder: Path, registry: str
) -> None:
    digest = push(registry, "p/jsonfile", "1")
    text = '{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "%s"}]}}'
    (folder / "pod.json").write_text(text % f"{registry}/p/jsonfile:1")
    (folder / "package.json").write_text('{"name": // not JSON\n')
    assert imgctl(".")[0] == 0
    assert (folder / "pod.json").read_text() == text % f"{registry}/p/jsonfile:1@{digest}"


def test_the_result_as_json(imgctl: Imgctl, pod: Callable[..., Path], registry: str) -> None:
    digest = push(registry, "p/json", "1")
    pod(f"{registry}/p/json:1")
    code, out, _ = imgctl("pod.yaml", "--dry-run", "--format", "json")
    assert code == 0
    assert json.loads(out)["images"] == [
        {"file": "pod.yaml", "line": 5, "kind": "Pod", "name": "",
         "path": "spec.containers[0].image", "image": f"{registry}/p/json:1",
         "pinned": f"{registry}/p/json:1@{digest}", "how": "resolved"}
    ]  # fmt: skip


def test_rules_come_from_imgctl_yaml_too(imgctl: Imgctl, registry: str, folder: Path) -> None:
    digest = push(registry, "p/rule", "1")
    (folder / "run.yaml").write_text(
        f"apiVersion: x/v1\nkind: Run\nspec: {{image: {registry}/p/rule:1}}\n"
    )
    assert "left alone" in imgctl("run.yaml")[2]
    (folder / "imgctl.yaml").write_text("pin:\n  image-path: ['Run:spec.image']\n")
    assert f"p/rule:1@{digest}" in imgctl("run.yaml")[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\n", "bad.yaml:2:1: not YAML"),
        ("a:\n\tb: 1\n", "bad.yaml:2:1: not YAML"),
        (POD.format(image='"a\u2028b:1"'), "bad.yaml:5: the image 'a\\u2028b:1' is written"),
        (POD.format(image="No:t:Good"), "bad.yaml:5: 'No:t:Good' is not an image reference"),
    ],
)
def test_bad_input_is_2_with_the_line_and_no_file_changes(
    imgctl: Imgctl, pod: Callable[..., Path], folder: Path, text: str, said: str
) -> None:
    good = pod("127.0.0.1:1/p/app:1")
    before = good.read_bytes()
    (folder / "bad.yaml").write_text(text)
    code, out, err = imgctl(".")
    assert (code, out) == (2, "")
    assert said in err
    assert good.read_bytes() == before
    assert not (folder / "imgctl.lock.yaml").exists()


def test_a_registry_that_does_not_answer_is_1_and_nothing_is_written(
    imgctl: Imgctl, pod: Callable[..., Path], folder: Path
) -> None:
    pod("127.0.0.1:1/p/app:1")
    code, _, err = imgctl(".", "--plain-http", "127.0.0.1:1")
    assert code == 1
    assert "127.0.0.1:1" in err
    assert [item.name for item in folder.iterdir()] == ["pod.yaml"]


@pytest.mark.parametrize("args", [("--check", "--write"), ("--image", "=a/b:1"), ()])
def test_wrong_usage_is_2(imgctl: Imgctl, pod: Callable[..., Path], args: tuple[str, ...]) -> None:
    pod("a/b:1")
    assert imgctl(*(("pod.yaml", *args) if args else ()))[0] == 2


def test_the_lock_is_not_taken_for_yaml_to_pin(imgctl: Imgctl, folder: Path) -> None:
    (folder / "imgctl.lock.yaml").write_text("schema: 1\nimages: {}\n")
    code, out, err = imgctl(".")
    assert (code, out) == (0, "")
    assert "0 image fields" in err
