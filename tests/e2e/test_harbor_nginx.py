"""Harbor stands behind an nginx that unescapes paths: as the double has it, and as nginx does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.harbor import artifacts
from registry.harbor.api import HarborApi
from registry.harbor.target import HarborTarget
from registry.layout import LayoutStore
from registry.oci import Platform
from registry.push import PushRequest, push
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double
from tests.e2e.support.processes import free_port, server, tool
from tests.unit.registry.images import put_image

PROJECT, NAME = "algorithms", "team/vision/mnist"


@pytest.fixture
def bare() -> Iterator[RunningHarbor]:
    """A double that takes paths as they come."""
    with harbor_double(HarborDouble(behind_nginx=False), projects=(PROJECT,)) as running:
        yield running


@pytest.fixture
def nginx(bare: RunningHarbor, tmp_path: Path) -> Iterator[str]:
    """A real nginx before it, with a path in proxy_pass, as Harbor's is."""
    folder, port = tmp_path / "nginx", free_port()
    folder.mkdir()
    paths = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    config = folder / "nginx.conf"
    config.write_text(
        f"pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;\n"
        f"events {{}}\nhttp {{ access_log off; {paths}\n"
        f"server {{ listen 127.0.0.1:{port}; client_max_body_size 0;\n"
        "proxy_set_header Host $http_host;\n"
        f"location / {{ proxy_pass http://{bare.host}/; }} }} }}\n"
    )
    with server([tool("nginx"), "-p", str(folder), "-c", str(config)], port, folder / "log"):
        yield f"127.0.0.1:{port}"


def test_a_push_into_a_deep_repository_ends_well(
    bare: RunningHarbor, nginx: str, tmp_path: Path
) -> None:
    layout = LayoutStore.create(tmp_path / "layout")
    document = put_image(layout, "build", b"base", b"script")
    known = Credentials(bare.username, bare.password)
    with RegistryClient(RegistryOptions(credentials=lambda host: known)) as client:
        api = HarborApi(client, nginx)
        repository = client.repository(nginx, f"{PROJECT}/{NAME}", push=True)
        request = PushRequest(
            "mnist", layout, document.digest, ("1.0",), frozenset(("1.0",)), Platform()
        )
        target = HarborTarget(api, PROJECT, labels=("edge",))
        assert push(request, repository, target).extra == {"labels": ["edge"]}
        assert artifacts.get(api, PROJECT, NAME, "1.0").digest == document.digest


@pytest.mark.parametrize("escaped", ["team%2Fmnist", "team%252Fmnist", "team%25252Fmnist"])
def test_the_double_treats_paths_as_nginx_does(
    bare: RunningHarbor, nginx: str, escaped: str
) -> None:
    path = f"/api/v2.0/projects/{PROJECT}/repositories/{escaped}/artifacts"
    pretending = HarborDouble(password=bare.password)
    with harbor_double(pretending, projects=(PROJECT,)) as running:
        auth = (bare.username, bare.password)
        real, ours = (
            httpx.get(f"http://{host}{path}", auth=auth, trust_env=False)
            for host in (nginx, running.host)
        )
    assert (real.status_code, real.content) == (ours.status_code, ours.content)
