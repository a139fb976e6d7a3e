"""`imgctl push`, called in this process against a registry in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry import credentials
from registry.client import RegistryClient, RegistryOptions
from registry.sandbox.memory import Contents, MemoryRegistry
from registry.sandbox.server import serve
from tests.unit.imgctl.builds import BASE_LAYER, layer, make_build, put_base
from tests.unit.imgctl.records import TAG, Call

BASE = "nvidia/l4t-base"


@dataclass(frozen=True)
class Running:
    """A registry in memory: what it holds, and where it listens."""

    memory: MemoryRegistry
    host: str

    def tags(self, repository: str) -> dict[str, str]:
        found = self.memory.repositories.get(repository)
        return dict(found.tags) if found else {}


@pytest.fixture
def registry() -> Iterator[Running]:
    """A registry that holds the base."""
    memory = MemoryRegistry()
    with serve(memory) as host:
        with RegistryClient(RegistryOptions()) as client:
            put_base(client.repository(host, BASE))
        yield Running(memory, host)


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    return tmp_path / "dist"


def digest_of(folder: Path) -> str:
    return str(json.loads((folder / "build.json").read_text())["digest"])


def test_a_build_is_pushed_and_its_reference_printed(
    call: Call, dist: Path, registry: Running
) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    code, out, err = call("push", "--registry", registry.host, "--project", "team")
    digest = digest_of(folder)
    assert (code, out) == (0, f"{registry.host}/team/mnist:{TAG}@{digest}\n")
    assert registry.tags("team/mnist") == {TAG: digest}
    assert "mounted 22.0 kB" in err


def test_the_layers_of_the_base_are_mounted_not_sent(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=(registry.host, BASE))
    _, out, _ = call("push", "--registry", registry.host, "--format", "json")
    record = json.loads(out)
    assert record["bytes"]["mounted"] == len(BASE_LAYER)
    assert record["bytes"]["sent"] < 200
    assert record["blobs"] == {"sent": 2, "mounted": 1, "present": 0}
    assert record["requests"] <= 10


def test_the_layers_of_the_base_come_from_another_registry(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=(registry.host, BASE))
    other = MemoryRegistry()
    with serve(other) as host:
        code, out, _ = call("push", "--registry", host, "--format", "json")
    assert code == 0
    assert json.loads(out)["blobs"] == {"sent": 3, "mounted": 0, "present": 0}
    assert other.blobs[layer(BASE_LAYER).digest] == BASE_LAYER


def test_the_layers_of_the_base_come_from_a_mirror(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist)
    code, _, _ = call("push", "--registry", registry.host, "--base-mirror", registry.host)
    assert code == 0
    assert layer(BASE_LAYER).digest in registry.memory.repositories["mnist"].blobs


def test_a_base_that_is_nowhere_is_named_and_no_tag_is_set(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=(registry.host, "nvidia/gone"))
    code, out, err = call("push", "--registry", registry.host)
    assert (code, out) == (1, "")
    assert layer(BASE_LAYER).digest in err
    assert "nvidia/gone" in err
    assert registry.tags("mnist") == {}


def test_an_unreachable_mirror_does_not_matter_while_another_place_has_the_base(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=(registry.host, BASE))
    with serve(MemoryRegistry()) as host:
        code, _, err = call("push", "--registry", host, "--base-mirror", "127.0.0.1:9")
    assert code == 0, err


def test_a_second_push_sends_nothing_and_says_so(call: Call, dist: Path, registry: Running) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    first = call("push", "--registry", registry.host)
    before = (folder / "push.json").read_text()
    second = call("push", "--registry", registry.host)
    assert second[:2] == first[:2]
    assert second[2] == "  already there, 1 request\n"
    assert (folder / "push.json").read_text() == before


def test_without_names_everything_in_dist_is_pushed(
    call: Call, dist: Path, registry: Running
) -> None:
    for image in ("mnist", "gpu-test"):
        make_build(dist, image, base=(registry.host, BASE), script=image.encode())
    code, out, _ = call("push", "--registry", registry.host)
    assert code == 0
    names = [line.rpartition("/")[2].partition(":")[0] for line in out.splitlines()]
    assert names == ["gpu-test", "mnist"]


@pytest.mark.parametrize("name", ["mnist", f"mnist:{TAG}", f"dist/mnist/{TAG}", "dist/mnist"])
def test_builds_are_named_by_image_tag_or_folder(
    call: Call, dist: Path, registry: Running, name: str
) -> None:
    for image in ("mnist", "gpu-test"):
        make_build(dist, image, base=(registry.host, BASE), script=image.encode())
    code, out, _ = call("push", name, "--registry", registry.host)
    assert code == 0
    assert len(out.splitlines()) == 1
    assert registry.tags("gpu-test") == {}
    assert TAG in registry.tags("mnist")


def test_one_failure_does_not_stop_the_rest(call: Call, dist: Path, registry: Running) -> None:
    make_build(dist, "bad", base=(registry.host, "nvidia/gone"), script=b"bad")
    make_build(dist, "good", base=(registry.host, BASE), script=b"good")
    code, out, err = call("push", "--registry", registry.host)
    assert code == 1
    assert [line.partition("@")[0] for line in out.splitlines()] == [f"{registry.host}/good:{TAG}"]
    assert "1 of 2 pushed, 1 failed" in err


def test_a_pushed_build_mounts_its_base_for_the_next(
    call: Call, dist: Path, registry: Running
) -> None:
    """The base is streamed once, although both builds have it from another registry."""
    for image in ("mnist", "gpu-test"):
        make_build(dist, image, base=(registry.host, BASE), script=image.encode())
    with serve(MemoryRegistry()) as host:
        code, out, _ = call("push", "--registry", host, "--format", "json")
    assert code == 0
    first, second = json.loads(out)
    assert first["bytes"]["sent"] > len(BASE_LAYER)
    assert second["bytes"]["mounted"] == len(BASE_LAYER)


def test_the_manifests_written_are_those_imgctl_manifests_prints(
    call: Call, dist: Path, registry: Running
) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    call("push", "--registry", registry.host)
    for kind in ("pod", "deployment"):
        code, out, _ = call("manifests", "mnist", "--kind", kind)
        assert (code, out) == (0, (folder / f"{kind}.yaml").read_text())


def test_manifests_can_be_left_out(call: Call, dist: Path, registry: Running) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    call("push", "--registry", registry.host, "--no-manifests")
    assert (folder / "push.json").is_file()
    assert not (folder / "pod.yaml").exists()


def test_a_dry_run_says_what_would_move_and_changes_nothing(
    call: Call, dist: Path, registry: Running
) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    before = sorted(path.name for path in folder.iterdir())
    code, out, err = call("push", "--registry", registry.host, "--dry-run")
    assert (code, out.count("@")) == (0, 1)
    assert "would have sent" in err and "mounted 22.0 kB" in err
    assert "mnist" not in registry.memory.repositories
    assert sorted(path.name for path in folder.iterdir()) == before


def test_further_tags_are_moved_along(call: Call, dist: Path, registry: Running) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    code, out, _ = call("push", "--registry", registry.host, "--tag", "latest", "--tag", "1.0")
    assert (code, len(out.splitlines())) == (0, 1)
    assert registry.tags("mnist") == dict.fromkeys((TAG, "latest", "1.0"), digest_of(folder))
    record = json.loads((folder / "push.json").read_text())
    assert record["tags"] == [TAG, "latest", "1.0"]


def test_a_tag_cannot_be_given_to_two_builds(call: Call, dist: Path, registry: Running) -> None:
    make_build(dist, tag="1.0.0-l4t-r35.2.1")
    make_build(dist, tag="1.1.0-l4t-r35.2.1")
    code, _, err = call("push", "mnist", "--registry", registry.host, "--tag", "latest")
    assert code == 2
    assert "--tag latest cannot name two builds of mnist" in err


def test_a_tag_that_names_another_build_moves_only_by_force(
    call: Call, dist: Path, registry: Running
) -> None:
    old = digest_of(make_build(dist, base=(registry.host, BASE)))
    call("push", "--registry", registry.host)
    new = digest_of(make_build(dist, base=(registry.host, BASE), script=b"changed"))
    code, out, err = call("push", "--registry", registry.host)
    assert (code, out) == (3, "")
    assert "names another build" in err and "--force" in err
    assert registry.tags("mnist") == {TAG: old}
    assert call("push", "--registry", registry.host, "--force")[0] == 0
    assert registry.tags("mnist") == {TAG: new}


def test_a_damaged_layer_is_found_before_the_manifest_goes(
    call: Call, dist: Path, registry: Running
) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    path = folder / "blobs" / layer(b"our script").digest.replace(":", "/")
    path.write_bytes(b"0ur script")
    code, _, err = call("push", "--registry", registry.host)
    assert code == 1
    assert "is corrupt" in err
    assert registry.tags("mnist") == {}


def test_a_missing_layer_is_named(call: Call, dist: Path, registry: Running) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    (folder / "blobs" / layer(b"our script").digest.replace(":", "/")).unlink()
    code, _, err = call("push", "--registry", registry.host)
    assert code == 1
    assert layer(b"our script").digest in err and "build the image again" in err
    assert registry.tags("mnist") == {}


def test_an_image_for_another_platform_is_not_pushed(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=(registry.host, BASE), architecture="amd64")
    code, _, err = call("push", "--registry", registry.host)
    assert code == 2
    assert "mnist is for linux/amd64, not linux/arm64" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "where to?"),
        (("--registry", "http://host.example/x"), "is given as a URL"),
        (("--harbor", "https://user:pw@harbor.example"), "is given as a URL"),
        (("--registry", "bad_host!"), "is not a registry host"),
        (("--registry", "h.example", "--project", "Upper"), "'Upper' cannot be a repository name"),
        (("--harbor", "h.example", "--registry", "r.example"), "both --harbor and --registry"),
        (("--registry", "h.example", "--scan"), "--scan is for Harbor"),
        (("--registry", "h.example", "--label", "x"), "--label is for Harbor"),
        (("--registry", "h.example", "--tag", "no good"), "'no good' cannot be a tag"),
        (("--registry", "h.example", "--username", "robot"), "whose $"),
        (("--registry", "h.example", "nope"), "there is no build 'nope' in dist"),
        (("--registry", "h.example", "--dist", "none"), "there are no builds in none"),
        (("--registry", "h.example", "--base-mirror", "https://x"), "is given as a URL"),
    ],
)
def test_bad_input_is_one_clear_error(
    call: Call, dist: Path, options: tuple[str, ...], said: str
) -> None:
    make_build(dist)
    code, out, err = call("push", *options)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("imgctl: ") == 1
    assert "pw" not in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not the record of a build"),
        ('{"kind": "build", "schema": 9}', "is of another version"),
        ('{"kind": "build", "schema": 1, "image": "x"}', "is not a whole record"),
    ],
)
def test_a_broken_record_is_one_clear_error(call: Call, dist: Path, text: str, said: str) -> None:
    folder = make_build(dist)
    (folder / "build.json").write_text(text)
    code, _, err = call("push", "--registry", "h.example")
    assert code in (1, 2)
    assert said in err and "build again" in err


def test_an_image_without_a_record_is_for_imgctl_copy(call: Call, dist: Path) -> None:
    folder = make_build(dist)
    (folder / "build.json").unlink()
    code, _, err = call("push", str(folder), "--registry", "h.example")
    assert code == 2
    assert "imgctl copy oci:" in err


def test_a_registry_that_is_not_there_is_named(call: Call, dist: Path) -> None:
    make_build(dist)
    code, _, err = call("push", "--registry", "127.0.0.1:9")
    assert code == 1
    assert "cannot connect to 127.0.0.1:9" in err


def test_a_wrong_password_is_told_as_such(
    call: Call, dist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_build(dist)
    monkeypatch.setenv("IMGCTL_PASSWORD", "wrong")
    with serve(MemoryRegistry(credentials=("ci", "right"))) as host:
        code, _, err = call("push", "--registry", host, "--username", "ci")
    assert code == 1
    assert "does not accept the user name and password of 'ci'" in err


def test_a_user_name_without_a_password_is_no_one_else_s_login(
    call: Call, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker's login there serves the user who is named, and no other."""
    make_build(dist)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serve(MemoryRegistry(credentials=("ci", "right"))) as host:
        code, _, err = call("push", "--registry", host, "--username", "alice")
        assert code == 2
        assert f"there is no password for 'alice' at {host}" in err
        credentials.save(host, credentials.Credentials("ci", "right"), tmp_path, {})
        code, _, err = call("push", "--registry", host, "--username", "alice", "--dry-run")
        assert code == 2
        assert "Docker's login there is 'ci'" in err
        assert call("push", "--registry", host, "--username", "ci", "--dry-run")[0] == 0


def test_a_host_on_the_command_line_stands_before_the_settings_file(
    call: Call, dist: Path, tmp_path: Path, registry: Running
) -> None:
    (tmp_path / "imgctl.yaml").write_text("harbor: harbor.invalid\n")
    make_build(dist, base=(registry.host, BASE))
    code, out, _ = call("push", "--registry", registry.host)
    assert code == 0
    assert out.startswith(f"{registry.host}/mnist:")


def test_what_keeps_all_from_being_pushed_is_told_once(
    call: Call, dist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for image in ("one", "two", "three"):
        make_build(dist, image)
    code, out, err = call("push", "--registry", "127.0.0.1:9")
    assert (code, out) == (1, "")
    assert err.count("cannot connect to 127.0.0.1:9") == 1
    monkeypatch.setenv("IMGCTL_PASSWORD", "wrong")
    with serve(MemoryRegistry(credentials=("ci", "right"))) as host:
        code, _, err = call("push", "--registry", host, "--username", "ci")
    assert code == 1
    assert err.count("imgctl: ") == 1


def test_a_host_that_is_no_harbor_is_told_as_such(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist)
    code, out, err = call("push", "--harbor", registry.host)
    assert (code, out) == (1, "")
    assert f"{registry.host} is not a Harbor" in err and "--registry" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--harbor", "h.example/team"), "names more than a host"),
        (("--harbor", "h.example", "--project", "a/b"), "'a/b' cannot be the name of a Harbor"),
        (("--harbor", "h.example", "--project", "a__b"), "cannot be the name of a Harbor"),
        (("--harbor", "h.example", "--fail-on", "awful"), "'awful' is not one of"),
    ],
)
def test_what_harbor_would_refuse_is_told_before_it_is_asked(
    call: Call, dist: Path, options: tuple[str, ...], said: str
) -> None:
    make_build(dist)
    code, out, err = call("push", *options)
    assert (code, out) == (2, "")
    assert said in err


def test_the_next_version_asks_only_for_what_is_its_own(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=("127.0.0.1:9", BASE), script=b"first")
    call("push", "--registry", registry.host, "--base-mirror", registry.host)
    make_build(dist, tag="1.1.0-l4t-r35.2.1", base=("127.0.0.1:9", BASE), script=b"second")
    code, out, _ = call("push", "mnist:1.1.0-l4t-r35.2.1", "--registry", registry.host,
                        "--format", "json")  # fmt: skip
    assert code == 0
    assert json.loads(out)["blobs"] == {"sent": 1, "mounted": 0, "present": 2}


def test_records_of_a_registry_that_was_emptied_since_do_no_harm(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=(registry.host, BASE), script=b"first")
    call("push", "--registry", registry.host)
    registry.memory.repositories["mnist"] = Contents()
    make_build(dist, tag="1.1.0-l4t-r35.2.1", base=(registry.host, BASE), script=b"second")
    code, out, err = call("push", "mnist:1.1.0-l4t-r35.2.1", "--registry", registry.host,
                          "--format", "json")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["blobs"] == {"sent": 2, "mounted": 1, "present": 0}


def test_a_broken_build_does_not_stand_in_the_way_of_another(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=(registry.host, BASE))
    broken = make_build(dist, "broken")
    (broken / "build.json").write_text("{")
    assert call("push", "mnist", "--registry", registry.host)[0] == 0


def test_a_build_may_lie_elsewhere_than_in_dist(
    call: Call, tmp_path: Path, registry: Running
) -> None:
    folder = make_build(tmp_path / "elsewhere", base=(registry.host, BASE))
    assert call("push", str(folder), "--registry", registry.host)[0] == 0


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "manifest", "config"])
def test_a_damaged_build_is_told_with_the_remedy(
    call: Call, dist: Path, registry: Running, name: str
) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    record = json.loads((folder / "build.json").read_text())
    digests = {"manifest": record["digest"], "config": record["config_digest"]}
    path = folder / name
    if name in digests:
        path = folder / "blobs" / digests[name].replace(":", "/")
    path.write_bytes(b"{")
    code, out, err = call("push", "--registry", registry.host)
    assert (code in (1, 2), out) == (True, "")
    assert f"dist/mnist/{TAG}" in err
    assert "fix: " in err
    assert registry.tags("mnist") == {}


def test_a_folder_that_cannot_be_written_is_told_after_the_push(
    call: Call, dist: Path, registry: Running
) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    (folder / "push.json").mkdir()
    code, out, err = call("push", "--registry", registry.host)
    assert (code, out) == (1, "")
    assert "is pushed, but that cannot be recorded in" in err
    assert TAG in registry.tags("mnist")


def test_another_builds_own_tag_is_not_taken_from_it(
    call: Call, dist: Path, registry: Running
) -> None:
    make_build(dist, base=(registry.host, BASE), script=b"one")
    other = make_build(dist, tag="1.1.0-l4t-r35.2.1", base=(registry.host, BASE), script=b"two")
    call("push", "--registry", registry.host)
    code, _, err = call("push", f"mnist:{TAG}", "--registry", registry.host,
                        "--tag", "1.1.0-l4t-r35.2.1")  # fmt: skip
    assert code == 3
    assert "names another build" in err
    assert registry.tags("mnist")["1.1.0-l4t-r35.2.1"] == digest_of(other)


def test_of_many_images_every_request_is_in_one_record(
    call: Call, dist: Path, registry: Running
) -> None:
    for number in range(5):
        make_build(dist, f"image-{number}", base=(registry.host, BASE), script=b"%d" % number)
    options = ("--registry", registry.host, "--tag", "latest", "--format", "json")
    first = json.loads(call("push", *options)[1])
    again = json.loads(call("push", *options)[1])
    assert [item["unchanged"] for item in again] == [True] * 5
    assert [item["requests"] for item in again] == [2] * 5
    assert all(item["requests"] <= 14 for item in first)


def test_the_settings_of_manifests_are_in_the_ones_written(
    call: Call, dist: Path, tmp_path: Path, registry: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imgctl.yaml").write_text(
        "namespace: edge\nmanifests:\n  pull-secret: harbor\n  kubesphere: true\n"
    )
    monkeypatch.setenv("IMGCTL_NODE", "jetson-01")
    folder = make_build(dist, base=(registry.host, BASE))
    assert call("push", "--registry", registry.host)[0] == 0
    pod = (folder / "pod.yaml").read_text()
    assert all(word in pod for word in ("namespace: edge", "name: harbor", "jetson-01"))
    for kind in ("pod", "deployment"):
        code, out, _ = call("manifests", "mnist", "--kind", kind)
        assert (code, out) == (0, (folder / f"{kind}.yaml").read_text())


def test_settings_that_changed_since_are_in_the_manifests_of_the_next_push(
    call: Call, dist: Path, tmp_path: Path, registry: Running
) -> None:
    folder = make_build(dist, base=(registry.host, BASE))
    call("push", "--registry", registry.host)
    (tmp_path / "imgctl.yaml").write_text("namespace: edge\n")
    assert "already there" in call("push", "--registry", registry.host)[2]
    assert "namespace: edge" in (folder / "deployment.yaml").read_text()


@pytest.mark.parametrize("setting", ["selector: [nonsense]", "node: nonsense_", "memory: nonsense"])
def test_a_setting_of_manifests_that_cannot_be_is_told_before_anything_is_sent(
    call: Call, dist: Path, tmp_path: Path, registry: Running, setting: str
) -> None:
    make_build(dist, base=(registry.host, BASE))
    (tmp_path / "imgctl.yaml").write_text(f"{setting}\n")
    code, out, err = call("push", "--registry", registry.host)
    assert (code, out) == (2, "")
    assert "nonsense" in err
    assert registry.tags("mnist") == {}
