"""`imgctl build`, called in this process against a registry in memory, without Docker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from tests.unit.builder import plans
from tests.unit.imgctl.records import Call

PYTORCH = plans.BASE.reference


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The host of a registry with the r35.2.1 PyTorch base; no docker command is to be found."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    base = plans.put_base(tmp_path / "base")
    manifest = base.manifest(PYTORCH.tag or "")
    with serve(MemoryRegistry()) as host:
        with RegistryClient(RegistryOptions()) as client:
            repository = client.repository(host, PYTORCH.repository)
            for blob in manifest.blobs():
                repository.push_blob(blob, lambda blob=blob: base.open_blob(blob))  # type: ignore[misc]
            repository.put_manifest(manifest, PYTORCH.tag)
        yield host


def test_images_and_releases_are_listed_in_the_order_asked_for(
    call: Call, mirror: str, tmp_path: Path
) -> None:
    code, out, err = call("build", "mnist", "gpu-test", "--l4t", "r35.4.1", "--l4t", "jetpack-5.1",
                          "--base-mirror", mirror)  # fmt: skip
    names = [line.split()[0] for line in out.splitlines()[::3]]
    assert (code, err) == (0, "")
    assert names == [
        "mnist:1.0.0-l4t-r35.4.1",
        "mnist:1.0.0-l4t-r35.2.1",
        "gpu-test:1.0.0-l4t-r35.4.1",
        "gpu-test:1.0.0-l4t-r35.2.1",
    ]
    assert out.count("built by direct") == 4
    assert (tmp_path / "dist/mnist/1.0.0-l4t-r35.4.1/build.json").is_file()


def test_the_same_again_is_up_to_date_and_no_cache_builds_anew(call: Call, mirror: str) -> None:
    arguments = ("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", mirror)
    first = call(*arguments)[1]
    assert "up to date" in call(*arguments)[1]
    anew = call(*arguments, "--no-cache")[1]
    assert "built by direct" in anew
    assert anew.splitlines()[0] == first.splitlines()[0]


def test_the_date_comes_from_the_environment_or_the_option(
    call: Call, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", mirror, "--format", "json")
    assert json.loads(call(*arguments)[1])["created"] == "2023-02-01T10:11:12Z"  # the base's
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert json.loads(call(*arguments)[1])["created"] == "1970-01-02T00:00:00Z"
    shown = json.loads(call(*arguments, "--source-date-epoch", "0")[1])
    assert shown["created"] == "1970-01-01T00:00:00Z"


def test_one_record_is_an_object_and_several_are_a_list(call: Call, mirror: str) -> None:
    arguments = ("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", mirror, "--format", "json")
    assert json.loads(call(*arguments)[1])["up_to_date"] is False
    both = json.loads(call(*arguments, "--l4t", "r35.4.1")[1])
    assert [item["up_to_date"] for item in both] == [True, False]
    assert both[1]["base"]["exact"] is False
    assert both[1]["base"]["reason"]


def test_a_failure_among_several_is_told_at_the_end(call: Call, mirror: str) -> None:
    code, out, err = call("build", "mnist", "--l4t", "r35.2.1", "--l4t", "r32.7.1",
                          "--base-mirror", mirror)  # fmt: skip
    assert code == 1
    assert "failed    mnist for r32.7.1" in out
    assert err.splitlines()[0] == "mnist for r32.7.1:"
    assert err.splitlines()[-1] == "imgctl: 1 of 2 built, 1 failed"


def test_failures_of_one_kind_give_its_exit_code(call: Call, mirror: str) -> None:
    code, _, err = call("build", "mnist", "gpu-test", "--l4t", "r35.2.1", "--target-l4t", "r32.7.1",
                        "--base-mirror", mirror)  # fmt: skip
    assert code == 3
    assert "0 of 2 built, 2 failed" in err


def test_an_image_that_could_not_run_on_the_device_is_refused(call: Call, mirror: str) -> None:
    code, out, err = call("build", "mnist", "--l4t", "r35.2.1", "--target-l4t", "r32.7.1",
                          "--base-mirror", mirror)  # fmt: skip
    assert (code, out) == (3, "")
    assert "r32.7.1" in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--l4t", "r35.2.1"), "which image?"),
        (("mnist",), "for which L4T release?"),
        (("mnits", "--l4t", "r35.2.1"), "did you mean 'mnist'?"),
        (("mnist", "--all", "--l4t", "r35.2.1"), "not both"),
        (("mnist", "--l4t", "r99"), "r99"),
        (("mnist", "--l4t", "r35.2.1", "--target-l4t", "r99"), "r99"),
        (("mnist", "--l4t", "r35.2.1", "--base", "l4t-pytorhc"), "l4t-pytorch"),
        (("mnist", "--l4t", "r35.2.1", "--base", "l4t-tensorflow"), "l4t-tensorflow"),
        (("mnist", "--l4t", "r35.2.1", "--base-mirror", "https://x/y"), "given as a URL"),
        (("mnist", "--l4t", "r35.2.1", "--platform", "arm64"), "arm64"),
        (("mnist", "--l4t", "r35.2.1", "--build-arg", "A-B=1"), "A-B"),
        (("mnist", "--l4t", "r35.2.1", "--build-arg", "NOT_SET_ANYWHERE"), "has no value"),
        (("mnist", "--l4t", "r35.2.1", "--secret", "hunter2"), "not the value itself"),
        (("mnist", "--l4t", "r35.2.1", "--secret", "id=a,src=nothing"), "nothing does not exist"),
        (("mnist", "--l4t", "r35.2.1", "--secret", "id=NOT_SET"), "no variable NOT_SET"),
        (("mnist", "--l4t", "r35.2.1", "--source-date-epoch", "-1"), "-1"),
        (("mnist", "--l4t", "r35.2.1", "--engine", "kaniko"), "kaniko"),
        (("mnist", "--l4t", "r35.2.1", "--concurrency", "0"), "0"),
    ],
)
def test_what_cannot_be_meant_is_bad_input_and_says_so(
    call: Call, mirror: str, tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    given = () if "--base-mirror" in arguments else ("--base-mirror", mirror)
    code, out, err = call("build", *arguments, *given)
    assert (code, out) == (2, "")
    assert word in err
    assert not (tmp_path / "dist").exists()


def test_a_plan_can_be_looked_at_before_anything_is_built(
    call: Call, mirror: str, tmp_path: Path
) -> None:
    code, out, _ = call("build", "mnist", "--l4t", "r35.4.1", "--base-mirror", mirror, "--dry-run")
    assert code == 0
    assert "method    graft" in out
    assert "why " in out  # the base is of another release, and the reason is given
    assert not (tmp_path / "dist").exists()


def test_a_complete_layout_holds_the_bases_layers_too(
    call: Call, mirror: str, tmp_path: Path
) -> None:
    arguments = ("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", mirror)
    call(*arguments)
    blobs = tmp_path / "dist/mnist/1.0.0-l4t-r35.2.1/blobs/sha256"
    assert len(list(blobs.iterdir())) == 3
    assert call(*arguments, "--full")[0] == 0
    assert len(list(blobs.iterdir())) == 4
    assert json.loads((blobs.parents[1] / "build.json").read_text())["sparse"] is False


WITHOUT_ARM64 = """\
#!/bin/sh
case "$*" in
  "buildx version") echo "github.com/docker/buildx v0.29.1" ;;
  *) printf 'Name: pc\\nDriver: docker\\nPlatforms: linux/amd64\\n'
     echo ' org.mobyproject.buildkit.worker.snapshotter: overlayfs' ;;
esac
"""


def test_a_builder_without_emulation_is_told_before_anything_is_built(
    call: Call, mirror: str, tmp_path: Path
) -> None:
    docker = tmp_path / "empty" / "docker"
    docker.parent.mkdir()
    docker.write_text(WITHOUT_ARM64)
    docker.chmod(0o755)
    (tmp_path / "dockerfiles").mkdir()
    (tmp_path / "dockerfiles" / "l4t-pytorch.Dockerfile.j2").write_text(
        "FROM {{ base.reference }}\nRUN make\n"
    )
    code, out, err = call("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", mirror)
    assert (code, out) == (1, "")
    assert "the builder pc cannot run steps for linux/arm64" in err
    assert "install emulation" in err
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("releases", ["r35.2.1", "[r35.2.1]", "35.2.1"])
def test_a_teams_settings_say_what_need_not_be_typed(
    call: Call, mirror: str, tmp_path: Path, releases: str
) -> None:
    (tmp_path / "imgctl.yaml").write_text(
        f"build:\n  l4t: {releases}\n  base-mirror: {mirror}\n  engine: direct\n"
    )
    code, out, err = call("build", "mnist")
    assert (code, err) == (0, "")
    assert out.startswith("mnist:1.0.0-l4t-r35.2.1  sha256:")


def test_a_secret_given_by_mistake_is_not_repeated(call: Call, mirror: str) -> None:
    _, out, err = call("build", "mnist", "--l4t", "r35.2.1", "--secret", "hunter2")
    assert "hunter2" not in out + err


def test_a_build_argument_that_looks_like_a_secret_is_warned_of(call: Call, mirror: str) -> None:
    arguments = ("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", mirror)
    code, _, err = call(*arguments, "--build-arg", "PYPI_TOKEN=x", "--build-arg", "VERSION=1")
    assert code == 0
    assert "--build-arg PYPI_TOKEN stays readable" in err
    assert err.count("imgctl:") == 1


def write_definition(name: str, text: str) -> None:
    folder = Path("images") / name
    folder.mkdir(parents=True)
    (folder / "image.yaml").write_text(text)


def test_a_broken_definition_does_not_stop_the_other_images(call: Call, mirror: str) -> None:
    write_definition("broken", "name: broken\n")
    arguments = ("--l4t", "r35.2.1", "--base-mirror", mirror)
    for asked in (("mnist", "broken"), ("--all",)):
        code, out, err = call("build", *asked, *arguments)
        assert code != 0
        assert "mnist:1.0.0-l4t-r35.2.1  sha256:" in out
        assert "failed    broken\n" in out
        assert "broken:\nimgctl: images/broken/image.yaml has no `version`" in err
    code, out, err = call("build", "mnist", "broken", "nobody", *arguments, "--format", "json")
    assert code == 2
    assert [item["image"] for item in json.loads(out)] == ["mnist", "broken", "nobody"]
    assert "imgctl: 1 of 3 built, 2 failed" in err


def test_alone_a_broken_definition_is_just_the_error(call: Call, mirror: str) -> None:
    write_definition("broken", "name: broken\n")
    code, out, err = call("build", "broken", "--l4t", "r35.2.1", "--base-mirror", mirror)
    assert (code, out) == (2, "")
    assert err.startswith("imgctl: images/broken/image.yaml has no `version`")


def test_a_dry_run_of_several_tells_of_all(call: Call, mirror: str) -> None:
    arguments = ("build", "mnist", "gpu-test", "--l4t", "r32.4.2", "--l4t", "r35.2.1",
                 "--base-mirror", mirror, "--dry-run")  # fmt: skip
    code, out, err = call(*arguments)
    assert code == 1
    assert [line.split()[1] for line in out.splitlines() if line.startswith("image ")] == [
        "mnist:1.0.0-l4t-r35.2.1", "gpu-test:1.0.0-l4t-r35.2.1",
    ]  # fmt: skip
    assert "mnist for r32.4.2:\nimgctl: cannot read the base" in err
    assert "imgctl: 2 of 4 planned, 2 failed" in err
    shown = json.loads(call(*arguments, "--format", "json")[1])
    assert ["plan" in item for item in shown] == [False, True, False, True]
    assert not Path("dist").exists()


def put_docker(folder: Path, platforms: str) -> None:
    """A `docker` whose builder named `farm` does not exist, and whose own is for platforms."""
    path = folder / "docker"
    path.parent.mkdir()
    path.write_text(
        "#!/bin/sh\n"
        '[ "$2" = version ] && echo github.com/docker/buildx v0.29.1 && exit\n'
        """[ "$3" = farm ] && echo 'ERROR: no builder "farm" found' && exit 1\n"""
        f"printf 'Name: pc\\nDriver: docker-container\\nPlatforms: {platforms}\\n'\n"
    )
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("platforms", "method"), [("linux/amd64", "wheels"), ("linux/amd64, linux/arm64", "full")]
)
def test_packages_come_as_wheels_where_the_builder_cannot_run_pip(
    call: Call, mirror: str, tmp_path: Path, platforms: str, method: str
) -> None:
    put_docker(tmp_path / "empty", platforms)  # the only folder of PATH
    write_definition(
        "app",
        "{name: app, version: 1.0.0, description: An app, bases: [l4t-pytorch], pip: [requests],"
        " framework: pytorch, files: [], command: [app], workload: {kind: batch, gpus: 1}}\n",
    )
    code, out, err = call("build", "app", "--l4t", "r35.2.1", "--base-mirror", mirror, "--dry-run")
    assert code == 0, err
    assert f"method    {method}\n" in out


def test_a_builder_asked_for_by_name_and_not_used_is_told_of(
    call: Call, mirror: str, tmp_path: Path
) -> None:
    put_docker(tmp_path / "empty", "linux/amd64")
    arguments = ("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", mirror, "--builder", "farm")
    code, out, err = call(*arguments)
    assert code == 0
    assert "built by direct" in out
    assert err == 'mnist:1.0.0-l4t-r35.2.1 is built directly: no builder "farm" found\n'
    code, out, err = call(*arguments, "--engine", "buildx", "--no-cache")
    assert code == 1
    assert 'no builder "farm" found' in err
