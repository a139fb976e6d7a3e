"""What a build meets in bad weather: one clear error, the right exit code, nothing half-written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl, Result, TokenRegistry
from tests.e2e.support import bases
from tests.e2e.support.images import built, write_image, write_template
from tests.e2e.support.processes import free_port
from tests.e2e.support.registries import RunningRegistry
from tests.e2e.support.watched import Answer, Watched

MNIST = ("build", "mnist", "--l4t", "r35.2.1", "--engine", "direct")
PROBE = ("build", "probe", "--l4t", "r35.2.1", "--network", "host")
MANIFEST, BLOB = "/manifests/", "/blobs/sha256:"


def check_failed(done: Result, code: int, *words: str) -> None:
    """One error of at most three lines that says these words, and no traceback."""
    lines = done.stderr.splitlines()
    assert done.code == code, done.stderr
    assert done.stdout == ""
    assert sum(line.startswith("imgctl: ") for line in lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def results(folder: Path) -> list[str]:
    """Everything below folder/dist that is not an empty folder, hidden or not."""
    found = sorted((folder / "dist").rglob("*"))
    return [str(path.relative_to(folder)) for path in found if path.is_file()]


def truncated(answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def corrupted(answer: Answer) -> Answer:
    middle = len(answer.body) // 2
    flipped = bytes([answer.body[middle] ^ 1])
    return replace(answer, body=answer.body[:middle] + flipped + answer.body[middle + 1 :])


def not_json(answer: Answer) -> Answer:
    headers = {name: text for name, text in answer.headers.items() if "Digest" not in name}
    return Answer(200, headers, b"<html>the captive portal of a hotel</html>")


@pytest.mark.parametrize(
    ("path", "change", "word"),
    [
        (MANIFEST, truncated, "digest"),
        (MANIFEST, corrupted, "digest"),
        (MANIFEST, not_json, "web page"),
        (BLOB, truncated, "bytes"),
        (BLOB, corrupted, "corrupt"),
        (BLOB, not_json, "bytes"),
    ],
)
def test_a_base_that_arrives_damaged_is_not_built_on(
    base: Watched, imgctl: Imgctl, tmp_path: Path, path: str, change: object, word: str
) -> None:
    assert callable(change)
    base.changes[path] = change
    done = imgctl(*MNIST, "--base-mirror", base.host)
    check_failed(done, 1, "nvidia/l4t-pytorch", word)
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("change", [truncated, corrupted])
def test_a_layer_that_arrives_damaged_does_not_get_into_a_complete_layout(
    base: Watched, imgctl: Imgctl, tmp_path: Path, change: object
) -> None:
    imgctl(*MNIST, "--base-mirror", base.host).check()
    layout = built(tmp_path)
    before = results(tmp_path)
    assert callable(change)
    base.changes[layout.manifest["layers"][0]["digest"]] = change
    for more in ((), ("--no-cache",)):
        done = imgctl(*MNIST, "--base-mirror", base.host, "--full", *more)
        check_failed(done, 1, layout.manifest["layers"][0]["digest"][:19])
        assert results(tmp_path) == before
    base.changes.clear()
    imgctl(*MNIST, "--base-mirror", base.host, "--full").check()
    assert len(results(tmp_path)) == len(before) + 1


def test_a_base_for_another_architecture_is_refused(
    base_image: RunningRegistry, crane: str, imgctl: Imgctl, tmp_path: Path
) -> None:
    subprocess.run(
        [crane, "mutate", f"{base_image.host}/{bases.PYTORCH}", "--set-platform", "linux/amd64",
         "-t", f"{base_image.host}/pc/{bases.PYTORCH}"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    done = imgctl(*MNIST, "--base-mirror", f"{base_image.host}/pc")
    check_failed(done, 3, "linux/amd64", "linux/arm64")
    assert results(tmp_path) == []


def test_an_index_without_arm64_names_what_it_has(
    base_image: RunningRegistry, crane: str, imgctl: Imgctl, tmp_path: Path
) -> None:
    host = base_image.host
    for command in (
        ["mutate", f"{host}/{bases.PYTORCH}", "--set-platform", "linux/amd64",
         "-t", f"{host}/pcs/{bases.PYTORCH}-amd64"],
        ["index", "append", "-m", f"{host}/pcs/{bases.PYTORCH}-amd64",
         "-t", f"{host}/pcs/{bases.PYTORCH}"],
    ):  # fmt: skip
        subprocess.run([crane, *command], check=True, capture_output=True, timeout=60)
    done = imgctl(*MNIST, "--base-mirror", f"{host}/pcs")
    check_failed(done, 1, "linux/amd64", "linux/arm64")
    assert results(tmp_path) == []


def test_an_index_with_arm64_in_it_is_looked_into(
    base_image: RunningRegistry, crane: str, imgctl: Imgctl, tmp_path: Path
) -> None:
    host = base_image.host
    subprocess.run(
        [crane, "index", "append", "-m", f"{host}/{bases.PYTORCH}",
         "-t", f"{host}/both/{bases.PYTORCH}"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    imgctl(*MNIST, "--base-mirror", f"{host}/both").check()
    through_index = built(tmp_path).digest
    imgctl(*MNIST, "--base-mirror", host, "--dist", "plain/dist").check()
    assert through_index == built(tmp_path / "plain").digest


def test_a_registry_nobody_answers_for_is_named(imgctl: Imgctl, tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    done = imgctl(*MNIST, "--base-mirror", host)
    check_failed(done, 1, host, "connection refused", "--base-mirror")


def test_a_tag_the_registry_does_not_have_is_named(
    empty_registry: RunningRegistry, imgctl: Imgctl
) -> None:
    done = imgctl(*MNIST, "--base-mirror", empty_registry.host)
    check_failed(done, 1, f"{empty_registry.host}/{bases.PYTORCH}", "--base-mirror")


def test_the_anonymous_are_told_to_log_in(token_registry: TokenRegistry, imgctl: Imgctl) -> None:
    host = token_registry.registry.host
    done = imgctl(*MNIST, "--base-mirror", host)
    check_failed(done, 1, host, f"imgctl login {host}")


def test_a_wrong_password_is_not_shown(basic_registry: RunningRegistry, imgctl: Imgctl) -> None:
    done = imgctl(*MNIST, "--base-mirror", basic_registry.host, "--username", "ci",
                  "--password-stdin", stdin="not-the-Password")  # fmt: skip
    check_failed(done, 1, basic_registry.host)
    assert "not-the-Password" not in done.stderr


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own at folder, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("engine_name", ["direct", "buildx"])
def test_a_full_disk_is_one_clear_error(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, engine_name: str
) -> None:
    with mounted(tmp_path / "dist", "size=12k") as dist:
        done = imgctl("build", "mnist", "--l4t", "r35.2.1", "--engine", engine_name,
                      "--base-mirror", base.host)  # fmt: skip
        check_failed(done, 1, "no space left")
        assert results(tmp_path) == []
        assert [path.name for path in dist.rglob("*")] == ["mnist"]


def test_a_disk_too_small_for_the_whole_image_is_seen_before_anything_is_fetched(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    with mounted(tmp_path / "dist", "size=1m"):
        done = imgctl(*MNIST, "--base-mirror", base.host, "--full")
        check_failed(done, 1, "do not fit", "free")
        assert results(tmp_path) == []
        assert base.bytes_sent < 20_000


@pytest.mark.parametrize("engine_name", ["direct", "buildx"])
def test_a_read_only_dist_is_bad_input(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, engine_name: str
) -> None:
    with mounted(tmp_path / "dist", "size=1m,ro"):
        done = imgctl("build", "mnist", "--l4t", "r35.2.1", "--engine", engine_name,
                      "--base-mirror", base.host)  # fmt: skip
        check_failed(done, 2, "Read-only", "--dist")


def test_a_dist_that_is_a_file_is_bad_input(base: Watched, imgctl: Imgctl, tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("not a folder")
    done = imgctl(*MNIST, "--base-mirror", base.host)
    assert done.code == 2
    assert "Traceback" not in done.stderr
    assert (tmp_path / "dist").read_text() == "not a folder"


def test_without_docker_auto_builds_directly(base: Watched, imgctl: Imgctl, tmp_path: Path) -> None:
    done = imgctl("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", base.host,
                  env={"PATH": str(tmp_path)})  # fmt: skip
    assert "built by direct" in done.check().stdout


def test_without_docker_a_step_that_must_run_says_what_to_install(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_image(tmp_path, "probe")
    write_template(tmp_path, "l4t-base", "RUN true")
    done = imgctl(*PROBE, "--base-mirror", base.host, env={"PATH": str(tmp_path)})
    check_failed(done, 1, "RUN", "there is no docker command", "install Docker")


def test_buildx_without_its_daemon_says_so(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = imgctl("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", base.host,
                  "--engine", "buildx", env=nowhere)  # fmt: skip
    check_failed(done, 1, "buildx", "daemon")
    assert results(tmp_path) == []


def test_a_builder_nobody_made_is_named(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    done = imgctl("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", base.host,
                  "--builder", "farm", "--engine", "buildx")  # fmt: skip
    check_failed(done, 1, "farm", "docker buildx ls")


def test_loading_without_a_daemon_keeps_the_build_and_says_what_failed(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    done = imgctl(*MNIST, "--base-mirror", base.host, "--load",
                  env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})  # fmt: skip
    check_failed(done, 1, "Docker engine")
    assert built(tmp_path).files()


@pytest.mark.parametrize(
    ("step", "options", "words"),
    [
        (
            "sh -c 'kill -SEGV $$'; exit $?",
            ("--network", "host"),
            ("QEMU crashed", "line", "tonistiigi/binfmt"),
        ),
        ("echo the reason; false", ("--network", "host"), ("RUN echo", "the reason", "line")),
        ("true", (), ("network", "--network host")),  # this engine has no bridge
    ],
)
def test_a_step_that_fails_says_what_went_wrong_and_where(
    engine: str,
    base: Watched,
    imgctl: Imgctl,
    tmp_path: Path,
    step: str,
    options: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    write_image(tmp_path, "probe")
    write_template(tmp_path, "l4t-base", f"RUN {step}")
    done = imgctl(*PROBE[:4], *options, "--base-mirror", base.host)
    check_failed(done, 1, *words)
    assert results(tmp_path) == []
