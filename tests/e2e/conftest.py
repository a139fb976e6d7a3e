"""Fixtures of the end-to-end tests: a real engine, real registries, the program as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.support import bases
from tests.e2e.support.certificates import Authority, Certificate
from tests.e2e.support.processes import free_port, tool
from tests.e2e.support.registries import (
    RunningRegistry,
    body_limit,
    docker_registry,
    htpasswd,
)
from tests.e2e.support.tokens import TokenServer, registry_settings, token_server
from tests.e2e.support.watched import Watched, watched


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is an end-to-end test."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@dataclass(frozen=True)
class Result:
    """How a run of imgctl ended."""

    code: int
    stdout: str
    stderr: str

    def check(self) -> Result:
        """This result if the run succeeded; fails with what it printed otherwise."""
        assert self.code == 0, f"exit {self.code}\n{self.stdout}\n{self.stderr}"
        return self


Imgctl = Callable[..., Result]


@pytest.fixture
def imgctl(tmp_path: Path) -> Imgctl:
    """Run the console script in an empty folder, as a user would."""
    script = Path(sys.executable).parent / "imgctl"

    def run(
        *arguments: str,
        cwd: Path = tmp_path,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 240,
    ) -> Result:
        done = subprocess.run(
            [str(script), *arguments],
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "DOCKER_CONFIG": str(tmp_path / ".docker"), **(env or {})},
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def engine() -> str:
    """The Docker engine's address; fails when none answers."""
    address = os.environ.get("DOCKER_HOST", "")
    for command in (["docker", "version"], ["docker", "buildx", "version"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            pytest.fail(f"no usable engine ({done.stderr.strip()}): run these tests by `make e2e`")
    return address


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """An anonymous registry, empty but for what other fixtures push."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def empty_registry(tmp_path: Path) -> Iterator[RunningRegistry]:
    """An anonymous registry of this test's own."""
    with docker_registry(tmp_path / "empty-registry") as running:
        yield running


@pytest.fixture(scope="session")
def base_image(registry: RunningRegistry) -> RunningRegistry:
    """The session's registry, holding stand-ins for the r35.2.1 PyTorch and plain bases."""
    layers = [bases.root_filesystem()]
    bases.push_base(registry.host, bases.PYTORCH, layers)
    bases.push_base(registry.host, bases.L4T_BASE, layers)
    return registry


@pytest.fixture
def base(base_image: RunningRegistry) -> Iterator[Watched]:
    """The registry with the bases, watched."""
    with watched(base_image.host) as pane:
        yield pane


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def signing_pair(authority: Authority) -> Certificate:
    """The key and certificate the token server signs with."""
    return authority.issue("tokens")


@dataclass(frozen=True)
class TokenRegistry:
    """A registry that asks for tokens, and who gives them."""

    registry: RunningRegistry
    tokens: TokenServer


@pytest.fixture
def token_registry(tmp_path: Path, signing_pair: Certificate) -> Iterator[TokenRegistry]:
    """A registry with token auth, as Harbor configures it; user robot$ci."""
    with token_server(signing_pair, free_port()) as tokens:
        auth = registry_settings(tmp_path, tokens, signing_pair)
        with docker_registry(tmp_path / "token-registry", auth=auth) as running:
            name, password = next(iter(tokens.users.items()))
            yield TokenRegistry(RunningRegistry(running.host, running.data, name, password), tokens)


@pytest.fixture
def basic_registry(tmp_path: Path) -> Iterator[RunningRegistry]:
    """A registry with Basic auth."""
    folder = tmp_path / "basic-registry"
    folder.mkdir()
    path = htpasswd(folder, "ci", "S3cret-pass")
    auth = {"htpasswd": {"realm": "imgctl", "path": str(path)}}
    with docker_registry(folder, auth=auth) as running:
        yield RunningRegistry(running.host, running.data, "ci", "S3cret-pass")


@pytest.fixture
def tls_registry(tmp_path: Path, authority: Authority) -> Iterator[RunningRegistry]:
    """A registry over TLS whose authority nobody trusts unless told."""
    with docker_registry(tmp_path / "tls", tls=authority.issue("server")) as running:
        yield running


@pytest.fixture
def expired_registry(tmp_path: Path, authority: Authority) -> Iterator[RunningRegistry]:
    """A registry whose certificate has expired."""
    with docker_registry(tmp_path / "old", tls=authority.issue("old", days=-1)) as running:
        yield running


@pytest.fixture
def other_name_registry(tmp_path: Path, authority: Authority) -> Iterator[RunningRegistry]:
    """A registry whose certificate is for another host."""
    pair = authority.issue("other", address="192.0.2.1")
    with docker_registry(tmp_path / "other", tls=pair) as running:
        yield running


@pytest.fixture
def limited_registry(tmp_path: Path) -> Iterator[RunningRegistry]:
    """A registry behind nginx, which takes bodies up to 1 MiB."""
    with (
        docker_registry(tmp_path / "behind") as running,
        body_limit(tmp_path / "nginx", running.host, "1m") as host,
    ):
        yield RunningRegistry(host, running.data)


@pytest.fixture
def readonly_registry(tmp_path: Path) -> Iterator[RunningRegistry]:
    """A registry in read-only maintenance."""
    with docker_registry(tmp_path / "readonly", readonly=True) as running:
        yield running


@pytest.fixture(scope="session")
def crane() -> str:
    """The peer whose word on an image we take: `crane`."""
    return tool("crane")
