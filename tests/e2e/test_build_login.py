"""A base behind a login: one `imgctl login`, and every way of building reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl
from tests.e2e.support.certificates import Certificate
from tests.e2e.support.images import built, write_image, write_template
from tests.e2e.support.processes import free_port
from tests.e2e.support.registries import RunningRegistry, docker_registry, htpasswd
from tests.e2e.support.tokens import registry_settings, token_server

PROBE = ("build", "probe", "--l4t", "r35.2.1", "--network", "host")
USER, PASSWORD = "robot$ci", "S3cret-pass"


@pytest.fixture(params=["basic", "token"])
def private_base(
    request: pytest.FixtureRequest,
    base_image: RunningRegistry,
    signing_pair: Certificate,
    tmp_path: Path,
) -> Iterator[str]:
    """The host of a registry with the bases that lets nobody in without a login."""
    folder = tmp_path / "private"
    folder.mkdir()
    if request.param == "basic":
        path = htpasswd(folder, USER, PASSWORD)
        auth = {"htpasswd": {"realm": "imgctl", "path": str(path)}}
        with docker_registry(folder, auth=auth, data=base_image.data) as running:
            yield running.host
        return
    with token_server(signing_pair, free_port()) as tokens:
        auth = registry_settings(folder, tokens, signing_pair)
        with docker_registry(folder, auth=auth, data=base_image.data) as running:
            yield running.host


@pytest.mark.parametrize("way", ["direct", "graft", "full"])
def test_the_base_is_read_with_the_login(
    engine: str, private_base: str, imgctl: Imgctl, tmp_path: Path, way: str
) -> None:
    write_image(tmp_path, "probe", {"a.txt": b"a"})
    if way == "full":
        write_template(tmp_path, "l4t-base", "RUN uname -m > /machine")
    used = "direct" if way == "direct" else "buildx"
    arguments = (*PROBE, "--base-mirror", private_base, "--engine", used, "--no-cache")
    refused = imgctl(*arguments)
    assert refused.code == 1
    assert f"imgctl login {private_base}" in refused.stderr
    imgctl("login", private_base, "--username", USER, "--password-stdin", stdin=PASSWORD).check()
    done = imgctl(*arguments).check()
    assert built(tmp_path, "probe").files()["opt/probe/a.txt"][4] == b"a"
    for text in (done.stdout, done.stderr, refused.stderr):
        assert PASSWORD not in text
    for path in (tmp_path / "dist").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()
