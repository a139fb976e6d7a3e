"""`imgctl copy` between real registries, layouts and archives, with other tools as witnesses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.measure import run
from tests.e2e.conftest import Imgctl, TokenRegistry
from tests.e2e.support import bases
from tests.e2e.support.certificates import Authority
from tests.e2e.support.interrupt import interrupt, start
from tests.e2e.support.link import linked
from tests.e2e.support.registries import RunningRegistry

BASE, TAG = bases.L4T_BASE.split(":")


@pytest.fixture
def source(base_image: RunningRegistry) -> str:
    """An image of one layer of about 35 MB, without its tag."""
    return f"{base_image.host}/{BASE}"


def crane_says(crane: str, *arguments: str) -> str:
    done = subprocess.run(
        [crane, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def tags(crane: str, repository: str) -> list[str]:
    done = subprocess.run(
        [crane, "ls", repository], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout.split()


def test_from_registry_to_registry_nothing_touches_the_disk(
    imgctl: Imgctl, source: str, empty_registry: RunningRegistry, crane: str, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("dist"))
    target = f"{empty_registry.host}/mirror/{BASE}"
    result = imgctl("copy", f"{source}:{TAG}", target).check()
    digest = crane_says(crane, "digest", f"{source}:{TAG}")
    assert result.stdout == f"{target}:{TAG}@{digest}\n"
    crane_says(crane, "validate", "--remote", f"{target}:{TAG}")
    assert sorted(tmp_path.rglob("dist")) == before


def test_within_a_registry_no_blob_moves(imgctl: Imgctl, source: str, crane: str) -> None:
    host = source.partition("/")[0]
    result = imgctl("copy", f"{source}:{TAG}", f"{host}/within/copy", "--format", "json").check()
    value: dict[str, Any] = json.loads(result.stdout)
    assert value["blobs"] == {"sent": 0, "mounted": 2, "present": 0}
    assert crane_says(crane, "digest", f"{host}/within/copy:{TAG}") == value["digest"]


def test_through_a_layout_and_an_archive(
    imgctl: Imgctl, source: str, empty_registry: RunningRegistry, crane: str, tmp_path: Path
) -> None:
    imgctl("copy", f"{source}:{TAG}", "oci:layout").check()
    imgctl("copy", "oci:layout", "oci-archive:image.tar:other").check()
    target = f"{empty_registry.host}/image"
    imgctl("copy", "oci-archive:image.tar", target).check()
    digest = crane_says(crane, "digest", f"{source}:{TAG}")
    assert crane_says(crane, "digest", f"{target}:other") == digest
    # Any reader of the format sees the same: here crane, of the layout we wrote.
    crane_says(crane, "push", str(tmp_path / "layout"), f"{empty_registry.host}/again:1")
    assert crane_says(crane, "digest", f"{empty_registry.host}/again:1") == digest


def test_every_tag_of_a_repository(
    imgctl: Imgctl, source: str, empty_registry: RunningRegistry, crane: str
) -> None:
    repository = f"{empty_registry.host}/many"
    imgctl("copy", f"{source}:{TAG}", f"{repository}:v0").check()
    for number in range(1, 12):
        crane_says(crane, "tag", f"{repository}:v0", f"v{number}")
    copied = f"{empty_registry.host}/copied"
    imgctl("copy", "--all-tags", repository, copied).check()
    assert sorted(tags(crane, copied)) == sorted(f"v{number}" for number in range(12))
    again = imgctl("copy", "--all-tags", repository, copied).check()
    assert again.stderr.count("already there") == 12


def test_a_host_of_its_own_password_does_not_see_the_others(
    imgctl: Imgctl, token_registry: TokenRegistry, basic_registry: RunningRegistry, source: str
) -> None:
    """Both want a login: the target's comes from the options, the source's from config.json."""
    tokens = token_registry.registry
    for running in (tokens, basic_registry):
        imgctl("login", running.host, "--username", running.username, "--password-stdin",
               stdin=running.password).check()  # fmt: skip
    imgctl("copy", f"{source}:{TAG}", f"{tokens.host}/image").check()
    imgctl("copy", f"{tokens.host}/image:{TAG}", f"{basic_registry.host}/image").check()
    imgctl("logout", basic_registry.host).check()
    denied = imgctl("copy", f"{tokens.host}/image:{TAG}", f"{basic_registry.host}/again")
    assert denied.code == 1
    assert f"imgctl login {basic_registry.host}" in denied.stderr
    login = ("--username", basic_registry.username, "--password-stdin")
    imgctl("copy", f"{tokens.host}/image:{TAG}", f"{basic_registry.host}/again", *login,
           stdin=basic_registry.password).check()  # fmt: skip


def test_over_tls_and_through_a_proxy_with_a_body_limit(
    imgctl: Imgctl,
    source: str,
    tls_registry: RunningRegistry,
    limited_registry: RunningRegistry,
    authority: Authority,
    crane: str,
) -> None:
    ca_cert = ("--ca-cert", str(authority.path))
    imgctl("copy", f"{source}:{TAG}", f"{tls_registry.host}/image", *ca_cert).check()
    imgctl(
        "copy", f"{tls_registry.host}/image:{TAG}", f"{limited_registry.host}/image", *ca_cert
    ).check()
    digest = crane_says(crane, "digest", f"{source}:{TAG}")
    assert crane_says(crane, "digest", f"{limited_registry.host}/image:{TAG}") == digest


def test_a_read_only_target_is_told_as_such(
    imgctl: Imgctl, source: str, readonly_registry: RunningRegistry
) -> None:
    result = imgctl("copy", f"{source}:{TAG}", f"{readonly_registry.host}/image")
    assert (result.code, result.stdout) == (1, "")
    assert "read-only mode" in result.stderr


@pytest.mark.parametrize("target", ["{host}/image", "oci-archive:x.tar", "oci:x"])
def test_interrupted_it_leaves_no_tag_and_no_archive(
    imgctl: Imgctl,
    source: str,
    empty_registry: RunningRegistry,
    tmp_path: Path,
    crane: str,
    target: str,
) -> None:
    host, _, name = source.partition("/")
    with linked(host, hold_after=5_000_000) as link:
        where = target.format(host=empty_registry.host)
        process = start(tmp_path, "copy", f"{link.host}/{name}:{TAG}", where)
        assert link.held.wait(30)
        interrupt(process)
    assert tags(crane, f"{empty_registry.host}/image") == []
    assert not (tmp_path / "x.tar").exists()
    assert not list(tmp_path.rglob("*.part"))
    if (tmp_path / "x").exists():
        assert json.loads((tmp_path / "x/index.json").read_text())["manifests"] == []
    imgctl("copy", f"{source}:{TAG}", where).check()


def test_memory_stays_flat_in_every_direction(
    imgctl: Imgctl, empty_registry: RunningRegistry, tmp_path: Path
) -> None:
    program = str(Path(sys.executable).parent / "imgctl")
    (tmp_path / "big.bin").write_bytes(os.urandom(150 << 20))
    crane = ["crane", "append", "--oci-empty-base", "-f", "big.tar", "-t",
             f"{empty_registry.host}/big:1"]  # fmt: skip
    subprocess.run(["tar", "cf", "big.tar", "big.bin"], cwd=tmp_path, check=True, timeout=60)
    subprocess.run(crane, cwd=tmp_path, check=True, timeout=120, capture_output=True)
    host = empty_registry.host
    for pair in (
        (f"{host}/big:1", "oci:layout"),
        ("oci:layout", "oci-archive:image.tar"),
        ("oci-archive:image.tar", f"{host}/other:1"),
    ):
        measured = run([program, "copy", *pair], cwd=tmp_path)
        assert measured.peak_rss < 60 << 20, pair
