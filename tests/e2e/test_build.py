"""`imgctl build` on a real engine: one image from both, reproducible, its base never pulled."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl
from tests.e2e.support.images import TAG, built, write_image, write_template
from tests.e2e.support.watched import Watched

MNIST = ("build", "mnist", "--l4t", "r35.2.1")
PROBE = ("build", "probe", "--l4t", "r35.2.1", "--network", "host")
# A graft reads a manifest and a config. NVIDIA's are about 8 kB each.
SMALL = 20_000


def write_probe(folder: Path) -> None:
    """An image whose Dockerfile has steps that run: one writes what machine it ran on."""
    write_image(folder, "probe", {"hello.txt": b"hello\n"}, env={"PROBE": "yes"})
    write_template(
        folder,
        "l4t-base",
        "RUN mkdir -p /opt/facts && uname -m > /opt/facts/machine \\",
        "    && umask > /opt/facts/umask && ln -s machine /opt/facts/link",
        "RUN chown 1000:44 /opt/facts/umask && rm /etc/issue.net",
    )


@pytest.mark.parametrize("engine_name", ["direct", "buildx"])
def test_mnist_is_built_without_reading_a_layer_of_its_base(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, engine_name: str
) -> None:
    done = imgctl(*MNIST, "--base-mirror", base.host, "--engine", engine_name, "--no-cache")
    done.check()
    layout = built(tmp_path)
    assert layout.manifest["layers"][0]["digest"] not in base.blobs()
    assert 0 < base.bytes_sent < SMALL
    assert layout.config["architecture"] == "arm64"
    assert layout.config["config"]["Cmd"] == ["python3", "/home/pytorch-mnist.py"]
    record = json.loads((layout.path / "build.json").read_text())
    assert record["engine"] == engine_name
    assert record["sparse"] is True


def test_a_dockerfile_with_run_is_built_in_full_on_aarch64(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_probe(tmp_path)
    done = imgctl(*PROBE, "--base-mirror", base.host, "--no-cache").check()
    assert "buildx" in done.stdout
    layout = built(tmp_path, "probe")
    first, second, files = (layout.files(layer) for layer in (1, 2, 3))
    assert first["opt/facts/machine"] == ("0", 0o644, 0, 0, b"aarch64\n")
    assert first["opt/facts/link"][::4] == ("2", b"machine")
    assert second["opt/facts/umask"][2:4] == (1000, 44)
    assert "etc/.wh.issue.net" in second
    assert files["opt/probe/hello.txt"] == ("0", 0o644, 0, 0, b"hello\n")
    assert "PROBE=yes" in layout.config["config"]["Env"]
    assert layout.config["architecture"] == "arm64"


@pytest.mark.parametrize("last", ["{{ base.reference }}", "made"])
def test_a_stage_that_runs_on_the_base_gets_the_real_base(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, last: str
) -> None:
    write_image(tmp_path, "probe")
    (tmp_path / "dockerfiles").mkdir()
    (tmp_path / "dockerfiles" / "l4t-base.Dockerfile.j2").write_text(
        "FROM {{ base.reference }} AS made\n"
        "RUN uname -m > /machine\n"
        f"FROM {last}\n"
        "COPY --link --from=made /machine /opt/machine\n"
    )
    imgctl(*PROBE, "--base-mirror", base.host).check()
    layout = built(tmp_path, "probe")
    assert layout.files()["opt/machine"][4] == b"aarch64\n"
    assert len(layout.manifest["layers"]) == (3 if last == "made" else 2)
    done = imgctl(*PROBE, "--base-mirror", base.host, "--engine", "direct", "--no-cache")
    assert done.code == 1
    assert "FROM" in done.stderr


def test_a_full_build_leaves_the_base_out_of_dist_unless_it_is_wanted(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_probe(tmp_path)
    arguments = (*PROBE, "--base-mirror", base.host)
    for options, sparse in (((), True), (("--full", "--no-cache"), False)):
        shown = json.loads(imgctl(*arguments, *options, "--format", "json").check().stdout)
        layout = built(tmp_path, "probe")
        inherited = layout.manifest["layers"][0]["digest"].replace(":", "/")
        assert shown["sparse"] is sparse
        assert (layout.path / "blobs" / inherited).exists() is not sparse


@pytest.mark.parametrize("images", [("probe",), ("probe", "other")], ids=["alone", "baked"])
def test_a_secret_is_there_for_its_step_and_nowhere_else(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, images: tuple[str, ...]
) -> None:
    for name in images:
        write_image(tmp_path, name, {"a.txt": name.encode()})
    write_template(
        tmp_path,
        "l4t-base",
        "RUN --mount=type=secret,id=one sha256sum < /run/secrets/one > /digest",
        "RUN --mount=type=secret,id=two sha256sum < /run/secrets/two >> /digest",
    )
    (tmp_path / "one.txt").write_text("the first s3cret")
    done = imgctl("build", *images, *PROBE[2:], "--base-mirror", base.host, "--no-cache",
                  "--secret", "id=one,src=one.txt", "--secret", "id=two,env=TWO",
                  env={"TWO": "the second s3cret"}).check()  # fmt: skip
    layout = built(tmp_path, "probe")
    values = (b"the first s3cret", b"the second s3cret")
    found = [line.split()[0] for line in layout.files(2)["digest"][4].decode().splitlines()]
    assert found == [hashlib.sha256(value).hexdigest() for value in values]
    assert "s3cret" not in done.stdout + done.stderr
    for path in (tmp_path / "dist").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()


def test_a_cache_goes_out_and_comes_back(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_probe(tmp_path)
    arguments = (*PROBE, "--base-mirror", base.host)
    imgctl(*arguments, "--cache-to", "type=local,dest=cache,mode=max").check()
    digest = built(tmp_path, "probe").digest
    assert (tmp_path / "cache" / "index.json").is_file()
    anew = ("--cache-from", "type=local,src=cache", "--dist", "other/dist")
    imgctl(*arguments, *anew).check()
    assert built(tmp_path / "other", "probe").digest == digest


def test_the_direct_engine_refuses_what_has_to_run_and_says_what_to_do(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_probe(tmp_path)
    done = imgctl(*PROBE, "--base-mirror", base.host, "--engine", "direct")
    assert done.code == 1
    assert "RUN" in done.stderr
    assert "--engine buildx" in done.stderr
    assert not (tmp_path / "dist" / "probe").exists()


@pytest.mark.parametrize("engine_name", ["direct", "buildx", "full"])
def test_the_same_plan_gives_the_same_digest_anywhere_and_at_any_time(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, engine_name: str
) -> None:
    digests = set()
    for number, umask in enumerate((0o022, 0o077)):
        folder = tmp_path / f"somewhere-{number}" / ("deep" * number)
        folder.mkdir(parents=True)
        before = os.umask(umask)
        try:
            if engine_name == "full":
                write_probe(folder)
            else:
                write_image(folder, "probe", {"a.txt": b"a", "b.txt": b"b"})
            used = "direct" if engine_name == "direct" else "buildx"
            arguments = (*PROBE, "--base-mirror", base.host, "--engine", used, "--no-cache")
            done = imgctl(*arguments, cwd=folder)
        finally:
            os.umask(before)
        done.check()
        digests.add(built(folder, "probe").digest)
        # Dates in a tar are whole seconds: the second build is in another one.
        time.sleep(1.1 * (1 - number))
    assert len(digests) == 1


def test_a_plan_that_was_built_is_up_to_date(base: Watched, imgctl: Imgctl, tmp_path: Path) -> None:
    arguments = (*MNIST, "--base-mirror", base.host, "--engine", "direct")
    imgctl(*arguments).check()
    before = (built(tmp_path).path / "build.json").stat().st_mtime_ns
    done = imgctl(*arguments).check()
    assert "up to date" in done.stdout
    assert (built(tmp_path).path / "build.json").stat().st_mtime_ns == before


def test_a_damaged_result_is_built_again(base: Watched, imgctl: Imgctl, tmp_path: Path) -> None:
    arguments = (*MNIST, "--base-mirror", base.host, "--engine", "direct")
    imgctl(*arguments).check()
    layout = built(tmp_path)
    digest = layout.digest
    path = layout.path / "blobs" / layout.manifest["layers"][-1]["digest"].replace(":", "/")
    path.write_bytes(b"x" * path.stat().st_size)
    assert "up to date" not in imgctl(*arguments).check().stdout
    assert built(tmp_path).digest == digest
    assert built(tmp_path).files()["home/pytorch-mnist.py"][0] == "0"


def test_dry_run_prints_the_plan_and_builds_nothing(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    arguments = (*MNIST, "--base-mirror", base.host, "--dry-run")
    text = imgctl(*arguments).check().stdout
    assert f"mnist:{TAG}" in text
    assert "COPY --link" in text
    plan = json.loads(imgctl(*arguments, "--format", "json").check().stdout)
    assert plan["plan"] in text
    assert plan["base"]["reference"] == "nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3"
    assert not (tmp_path / "dist").exists()


def test_json_gives_the_record_that_lies_beside_the_layout(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    arguments = (*MNIST, "--base-mirror", base.host, "--engine", "direct", "--format", "json")
    shown = json.loads(imgctl(*arguments).check().stdout)
    saved = json.loads((built(tmp_path).path / "build.json").read_text())
    assert shown.items() >= saved.items()
    assert shown["digest"] == built(tmp_path).digest
    assert shown["base"]["sources"][0] == {
        "host": base.host,
        "repository": "nvidia/l4t-pytorch",
    }


@pytest.mark.parametrize("engine_name", ["direct", "buildx"])
def test_memory_does_not_grow_with_what_is_built(
    engine: str, base: Watched, tmp_path: Path, engine_name: str
) -> None:
    home = write_image(tmp_path, "large", {"a.bin": b""})
    with (home / "a.bin").open("wb") as stream:
        stream.truncate(96 << 20)
    arguments = ["build", "large", "--l4t", "r35.2.1", "--base-mirror", base.host, "--full",
                 "--engine", engine_name]  # fmt: skip
    assert peak_memory(tmp_path, *arguments) < 100e6
    assert built(tmp_path, "large").files()["opt/large/a.bin"][4] == bytes(96 << 20)


def peak_memory(folder: Path, *arguments: str) -> int:
    """The most memory imgctl and what it starts hold at once each, in bytes.

    Asked by a small Python in between: a child's figure begins with its parent's, and ours is big.
    """
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", script, str(Path(sys.executable).parent / "imgctl")]
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024
