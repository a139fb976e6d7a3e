"""`imgctl push` against docker-registry in the ways users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.access_log import AccessLog
from bench.measure import run
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double
from registry.sandbox.harbor.upstream import Upstream
from tests.e2e.conftest import Imgctl, Result, TokenRegistry
from tests.e2e.support import bases
from tests.e2e.support.certificates import Authority
from tests.e2e.support.images import TAG, built, write_image
from tests.e2e.support.interrupt import interrupt, start
from tests.e2e.support.link import linked
from tests.e2e.support.registries import RunningRegistry, docker_registry

PASSWORD = "S3cret-pass"


@pytest.fixture
def build(imgctl: Imgctl, base_image: RunningRegistry, tmp_path: Path) -> Any:
    """Build an image of one small script on a base in the session's registry."""

    def build_it(name: str = "probe", script: bytes = b"print('hello')\n") -> None:
        write_image(tmp_path, name, {"run.py": script})
        imgctl("build", name, "--l4t", "r35.2.1", "--engine", "direct",
               "--base-mirror", base_image.host).check()  # fmt: skip

    return build_it


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[tuple[RunningRegistry, AccessLog]]:
    """A registry that holds the base, and the log of what it is asked."""
    folder = tmp_path / "logged"
    with docker_registry(folder, access_log=True) as running:
        bases.push_base(running.host, bases.L4T_BASE, [bases.root_filesystem()])
        log = AccessLog(folder / "registry.log")
        log.take()
        yield running, log


def record(result: Result) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(result.check().stdout)
    return value


def crane_digest(crane: str, reference: str) -> str:
    done = subprocess.run(
        [crane, "digest", reference], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def test_what_was_built_is_what_others_then_see(
    build: Any, imgctl: Imgctl, base_image: RunningRegistry, crane: str, tmp_path: Path
) -> None:
    build()
    result = imgctl("push", "--registry", base_image.host, "--project", "seen").check()
    digest = built(tmp_path, "probe").digest
    assert result.stdout == f"{base_image.host}/seen/probe:{TAG}@{digest}\n"
    assert crane_digest(crane, f"{base_image.host}/seen/probe:{TAG}") == digest
    subprocess.run(
        [crane, "validate", "--remote", f"{base_image.host}/seen/probe:{TAG}"],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip


def test_a_script_on_a_base_that_is_there_costs_its_own_bytes(
    build: Any, imgctl: Imgctl, logged: tuple[RunningRegistry, AccessLog], tmp_path: Path
) -> None:
    registry, log = logged
    build()
    with linked(registry.host) as link:
        first = record(imgctl("push", "--registry", link.host, "--base-mirror", link.host,
                              "--format", "json"))  # fmt: skip
        up = link.up
    assert len(log.take()) == first["requests"] <= 19
    assert first["blobs"] == {"sent": 2, "mounted": 1, "present": 0}
    ours = first["bytes"]["sent"] + first["size"]
    assert up - ours < 3000
    assert link.down < 6000


def test_a_changed_script_costs_no_more_than_the_change(
    build: Any, imgctl: Imgctl, logged: tuple[RunningRegistry, AccessLog]
) -> None:
    registry, log = logged
    options = ("--registry", registry.host, "--base-mirror", registry.host, "--format", "json")
    build()
    record(imgctl("push", *options))
    build(script=b"print('changed')\n")
    log.take()
    again = record(imgctl("push", *options, "--force"))
    assert len(log.take()) == again["requests"] <= 10
    assert again["bytes"]["sent"] < 3000


def test_a_second_push_sends_nothing(
    build: Any, imgctl: Imgctl, logged: tuple[RunningRegistry, AccessLog]
) -> None:
    registry, log = logged
    options = ("--registry", registry.host, "--base-mirror", registry.host)
    build()
    first = imgctl("push", *options).check()
    log.take()
    second = imgctl("push", *options).check()
    assert second.stdout == first.stdout
    assert "already there" in second.stderr
    asked = log.take()
    assert [item.method for item in asked] == ["HEAD"]


def test_the_base_is_streamed_once_to_a_registry_without_it(
    build: Any, imgctl: Imgctl, empty_registry: RunningRegistry, crane: str, tmp_path: Path
) -> None:
    build("one")
    build("two")
    values = json.loads(
        imgctl("push", "--registry", empty_registry.host, "--format", "json").check().stdout
    )
    base = bases.root_filesystem().stat().st_size
    assert values[0]["bytes"]["sent"] > base
    assert (values[1]["bytes"]["mounted"], values[1]["bytes"]["sent"] < 3000) == (base, True)
    for value in values:
        name = f"{value['repository']}:{TAG}"
        assert crane_digest(crane, name) == value["digest"]
    # It went through memory only.
    assert not list((tmp_path / "dist").rglob("*.part"))
    assert sum(path.stat().st_size for path in (tmp_path / "dist").rglob("*")) < 1 << 20


def test_with_token_auth_one_token_serves(
    build: Any, imgctl: Imgctl, token_registry: TokenRegistry, base_image: RunningRegistry
) -> None:
    host, user = token_registry.registry.host, token_registry.registry.username
    login = ("--username", user, "--password-stdin")
    copied = imgctl("copy", f"{base_image.host}/{bases.L4T_BASE}", f"{host}/{bases.L4T_BASE}",
                    *login, stdin=PASSWORD)  # fmt: skip
    copied.check()
    build()
    token_registry.tokens.granted.clear()
    result = imgctl("push", "--registry", host, "--base-mirror", host, "--format", "json", *login,
                    stdin=PASSWORD)  # fmt: skip
    assert record(result)["blobs"] == {"sent": 2, "mounted": 1, "present": 0}
    assert sorted(token_registry.tokens.granted) == [
        "repository:nvidia/l4t-base:pull",
        "repository:probe:pull,push",
    ]


def test_without_a_login_the_one_to_make_is_named(
    build: Any, imgctl: Imgctl, token_registry: TokenRegistry, basic_registry: RunningRegistry
) -> None:
    build()
    for host in (token_registry.registry.host, basic_registry.host):
        result = imgctl("push", "--registry", host)
        assert (result.code, result.stdout) == (1, "")
        assert f"imgctl login {host}" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_wrong_password_is_told_and_not_shown(
    build: Any, imgctl: Imgctl, token_registry: TokenRegistry, basic_registry: RunningRegistry
) -> None:
    build()
    for running in (token_registry.registry, basic_registry):
        result = imgctl("push", "--registry", running.host, "--username", running.username,
                        "--password-stdin", stdin="Wr0ng-secret")  # fmt: skip
        assert (result.code, result.stdout) == (1, "")
        assert f"user name and password of {running.username!r}" in result.stderr
        assert "Wr0ng" not in result.stderr


def test_with_basic_auth_from_the_environment(
    build: Any, imgctl: Imgctl, basic_registry: RunningRegistry, tmp_path: Path
) -> None:
    build()
    environment = {"IMGCTL_USERNAME": "ci", "IMGCTL_PASSWORD": PASSWORD}
    result = imgctl("push", "--registry", basic_registry.host, env=environment).check()
    assert built(tmp_path, "probe").digest in result.stdout
    assert PASSWORD not in (tmp_path / f"dist/probe/{TAG}/push.json").read_text()


def test_over_tls_with_a_private_authority(
    build: Any, imgctl: Imgctl, tls_registry: RunningRegistry, authority: Authority
) -> None:
    build()
    refused = imgctl("push", "--registry", tls_registry.host)
    assert (refused.code, refused.stdout) == (1, "")
    assert "--ca-cert" in refused.stderr
    ca_cert = ("--ca-cert", str(authority.path))
    imgctl("push", "--registry", tls_registry.host, *ca_cert).check()
    environment = {"SSL_CERT_FILE": str(authority.path)}
    again = imgctl("push", "--registry", tls_registry.host, env=environment).check()
    assert "already there" in again.stderr


@pytest.mark.parametrize(
    ("which", "said"), [("expired_registry", "expired"), ("other_name_registry", "127.0.0.1")]
)
def test_a_certificate_that_is_not_good_is_told_as_such(
    build: Any,
    imgctl: Imgctl,
    authority: Authority,
    request: pytest.FixtureRequest,
    which: str,
    said: str,
) -> None:
    running: RunningRegistry = request.getfixturevalue(which)
    build()
    result = imgctl("push", "--registry", running.host, "--ca-cert", str(authority.path))
    assert (result.code, result.stdout) == (1, "")
    assert said in result.stderr and "certificate" in result.stderr
    assert result.stderr.count("imgctl: ") == 1


def test_behind_a_proxy_with_a_body_limit(
    build: Any, imgctl: Imgctl, limited_registry: RunningRegistry, crane: str
) -> None:
    build()
    value = record(imgctl("push", "--registry", limited_registry.host, "--format", "json"))
    name = f"{limited_registry.host}/probe:{TAG}"
    assert crane_digest(crane, name) == value["digest"]
    subprocess.run([crane, "validate", "--remote", name], check=True, timeout=60,
                   capture_output=True)  # fmt: skip


def test_a_read_only_registry_is_told_as_such(
    build: Any, imgctl: Imgctl, readonly_registry: RunningRegistry
) -> None:
    build()
    result = imgctl("push", "--registry", readonly_registry.host)
    assert (result.code, result.stdout) == (1, "")
    assert "does not allow to push" in result.stderr
    assert "read-only mode" in result.stderr


def test_a_base_that_is_gone_is_named_and_no_tag_moves(
    build: Any, imgctl: Imgctl, empty_registry: RunningRegistry, tmp_path: Path, crane: str
) -> None:
    build()
    folder = tmp_path / "dist" / "probe" / TAG
    value = json.loads((folder / "build.json").read_text())
    value["base"]["sources"] = [{"host": empty_registry.host, "repository": "nvidia/gone"}]
    (folder / "build.json").write_text(json.dumps(value))
    result = imgctl("push", "--registry", empty_registry.host)
    assert (result.code, result.stdout) == (1, "")
    layer = value["layers"][0]["digest"]
    assert layer in result.stderr and "nvidia/gone" in result.stderr
    assert not (folder / "push.json").exists()
    done = subprocess.run([crane, "digest", f"{empty_registry.host}/probe:{TAG}"],
                          capture_output=True, timeout=30, check=False)  # fmt: skip
    assert done.returncode != 0


def test_a_record_of_a_push_to_a_registry_that_was_emptied_since_does_no_harm(
    build: Any, imgctl: Imgctl, tmp_path: Path, crane: str
) -> None:
    build("one")
    build("two")
    with docker_registry(tmp_path / "first") as running:
        imgctl("push", "--registry", running.host).check()
        port = int(running.host.rpartition(":")[2])
    with docker_registry(tmp_path / "second", port=port) as running:
        imgctl("push", "two", "--registry", running.host).check()
        digest = built(tmp_path, "two").digest
        assert crane_digest(crane, f"{running.host}/two:{TAG}") == digest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_push_moves_no_tag_and_the_next_one_finishes(
    build: Any,
    imgctl: Imgctl,
    empty_registry: RunningRegistry,
    tmp_path: Path,
    crane: str,
    number: signal.Signals,
) -> None:
    build()
    folder = tmp_path / "dist" / "probe" / TAG
    before = sorted(folder.rglob("*"))
    with linked(empty_registry.host, hold_after=5_000_000) as link:
        process = start(tmp_path, "push", "--registry", link.host)
        assert link.held.wait(30)
        interrupt(process, number)
        assert sorted(folder.rglob("*")) == before
        seen = subprocess.run([crane, "ls", f"{empty_registry.host}/probe"], check=False,
                              capture_output=True, text=True, timeout=30)  # fmt: skip
        assert seen.stdout == ""
        link.release.set()
        imgctl("push", "--registry", link.host).check()
    digest = built(tmp_path, "probe").digest
    assert crane_digest(crane, f"{empty_registry.host}/probe:{TAG}") == digest


@pytest.mark.parametrize("sent", [0, 300, 700, 1500, 3000, 6000, 12000])
def test_interrupted_at_any_request_it_ends_at_once_and_the_next_one_finishes(
    build: Any, imgctl: Imgctl, base_image: RunningRegistry, tmp_path: Path, crane: str, sent: int
) -> None:
    """After so many bytes the registry hears no more: that is in the midst of each phase."""
    build()
    project = f"phase-{sent}"
    options = ("--project", project, "--base-mirror", base_image.host)
    with linked(base_image.host, hold_after=sent) as link:
        process = start(tmp_path, "push", "--registry", link.host, *options)
        assert link.held.wait(30)
        interrupt(process)
    assert not (tmp_path / "dist" / "probe" / TAG / "push.json").exists()
    imgctl("push", "--registry", base_image.host, *options).check()
    reference = f"{base_image.host}/{project}/probe:{TAG}"
    assert crane_digest(crane, reference) == built(tmp_path, "probe").digest


def test_many_pushes_at_once_all_end_well(
    build: Any, imgctl: Imgctl, empty_registry: RunningRegistry, tmp_path: Path, crane: str
) -> None:
    """64 pushes from 8 processes, which all send the same base and some the same image."""
    names = [f"probe-{number}" for number in range(16)]
    for number, name in enumerate(names):
        build(name, f"print({number})\n".encode())
    processes = [
        start(tmp_path, "push", "--registry", empty_registry.host, *names[half::2])
        for half in (0, 1) * 4
    ]
    for process in processes:
        stdout, stderr = process.communicate(timeout=200)
        assert process.returncode == 0, stderr
        assert len(stdout.splitlines()) == 8
    for name in names:
        digest = crane_digest(crane, f"{empty_registry.host}/{name}:{TAG}")
        assert digest == built(tmp_path, name).digest
    last = f"{empty_registry.host}/{names[-1]}:{TAG}"
    subprocess.run([crane, "validate", "--remote", last], check=True, timeout=60,
                   capture_output=True)  # fmt: skip


def test_memory_does_not_grow_with_the_image(
    build: Any, empty_registry: RunningRegistry, tmp_path: Path
) -> None:
    build(script=os.urandom(200 << 20))
    push = [str(Path(sys.executable).parent / "imgctl"), "push", "--registry", empty_registry.host]
    measured = run(push, cwd=tmp_path, env={"DOCKER_CONFIG": str(tmp_path)})
    assert measured.peak_rss < 60 << 20


@pytest.fixture
def harbor(basic_registry: RunningRegistry) -> Iterator[RunningHarbor]:
    """The double of Harbor, its blobs in a real registry, with a project for bases and ours."""
    storage = Upstream(basic_registry.host, basic_registry.username, basic_registry.password)
    with harbor_double(HarborDouble(storage), projects=("nvcr", "algorithms")) as running:
        yield running


def test_harbor_from_the_base_to_the_verdict(
    build: Any, imgctl: Imgctl, base_image: RunningRegistry, harbor: RunningHarbor
) -> None:
    """Everything at once: base copied in once, then only mounted; labels, scan, and once more."""
    environment = {"IMGCTL_USERNAME": harbor.username, "IMGCTL_PASSWORD": harbor.password,
                   "IMGCTL_HARBOR": harbor.host}  # fmt: skip
    base = f"{base_image.host}/{bases.L4T_BASE}"
    imgctl("copy", base, f"{harbor.host}/nvcr/{bases.L4T_BASE}", env=environment).check()
    build()
    options = ("--base-mirror", f"{harbor.host}/nvcr", "--label", "edge", "--scan",
               "--fail-on", "critical", "--format", "json")  # fmt: skip
    value = record(imgctl("push", *options, env=environment))
    assert value["blobs"] == {"sent": 2, "mounted": 1, "present": 0}
    assert value["scan"]["state"] == "done"
    artifact = harbor.double.state.find_artifact("algorithms/probe", TAG)
    assert artifact is not None
    assert artifact.document.digest == value["digest"]
    again = record(imgctl("push", *options, env=environment))
    assert again["unchanged"] and again["requests"] <= 6


@pytest.mark.parametrize("options", [(), ("--max-request-body", "1MiB")])
def test_a_registry_that_is_started_anew_in_mid_push(
    build: Any, imgctl: Imgctl, tmp_path: Path, crane: str, options: tuple[str, ...]
) -> None:
    build()
    folder = tmp_path / "restarted"
    with ExitStack() as stack:
        with docker_registry(folder) as running:
            link = stack.enter_context(linked(running.host, hold_after=5_000_000))
            process = start(tmp_path, "push", "--registry", link.host, *options)
            assert link.held.wait(30)
        link.release.set()
        port = int(running.host.rpartition(":")[2])
        stack.enter_context(docker_registry(folder, port=port))
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        digest = built(tmp_path, "probe").digest
        assert crane_digest(crane, f"{running.host}/probe:{TAG}") == digest


def test_tokens_that_expire_on_the_way_are_fetched_anew(
    build: Any, imgctl: Imgctl, token_registry: TokenRegistry, base_image: RunningRegistry
) -> None:
    running, tokens = token_registry.registry, token_registry.tokens
    login = {"IMGCTL_USERNAME": running.username, "IMGCTL_PASSWORD": running.password}
    imgctl("copy", f"{base_image.host}/{bases.L4T_BASE}", f"{running.host}/{bases.L4T_BASE}",
           env=login).check()  # fmt: skip
    build()
    tokens.lifetime = 1
    tokens.granted.clear()
    with linked(running.host, delay=0.3) as link:
        imgctl("push", "--registry", link.host, "--base-mirror", link.host, env=login).check()
    assert tokens.granted.count("repository:probe:pull,push") > 1
