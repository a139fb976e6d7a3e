"""`imgctl login` checks before it keeps, and never shows or takes a password as an argument."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imgctl.cli import cli
from imgctl.output import run
from tests.support.reqresp import Entry, serve

BASIC = "Basic " + base64.b64encode(b"robot$p+ci:s3cret").decode()
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="{base}/service/token",service="harbor-registry"'}
NO_SCOPE = "service=harbor-registry"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Docker configuration, and no settings of the caller's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("IMGCTL_USERNAME", "IMGCTL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "config.json"


def harbor(token_status: int) -> tuple[Entry, ...]:
    """Harbor's answers: its token service tells a wrong password only without a scope."""
    token = Entry(
        "GET",
        "/service/token",
        NO_SCOPE,
        {"authorization": BASIC},
        status=token_status,
        content=b'{"token": "t"}',
    )
    return (
        Entry("GET", "/v2/", headers={"authorization": None}, status=401, reply=CHALLENGE),
        token,
        Entry("GET", "/v2/", headers={"authorization": "Bearer t"}),
    )


def login(host: str, *options: str, password: str = "s3cret\n") -> Result:
    arguments = ["login", host, "--username", "robot$p+ci", "--password-stdin", *options]
    return CliRunner().invoke(cli, arguments, input=password)


def test_a_good_password_is_kept_where_docker_keeps_it(config: Path) -> None:
    config.write_text('{"credHelpers": {"other": "x"}}')
    with serve(*harbor(200)) as server:
        result = login(server.host)
    assert result.exit_code == 0
    assert result.stdout == f"logged in to {server.host} as robot$p+ci\n"
    assert "plain text" in result.stderr
    assert json.loads(config.read_text()) == {
        "credHelpers": {"other": "x"},
        "auths": {server.host: {"auth": BASIC.removeprefix("Basic ")}},
    }


def test_a_wrong_password_is_not_kept(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(*harbor(401)[:2]) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGCTL_PASSWORD", "s3cret")
        code = run(cli, ["login", server.host, "--username", "robot$p+ci"])
    said = capsys.readouterr().err
    assert code == 1
    assert "does not accept the user name and password of 'robot$p+ci'" in said
    assert "s3cret" not in said
    assert not config.exists()


def test_a_registry_without_passwords() -> None:
    with serve(Entry("GET", "/v2/")) as server:
        result = login(server.host, "--format", "json")
    assert json.loads(result.stdout)["checked"] is False
    assert "not checked" in result.stderr


def test_a_registry_that_lets_anybody_look_still_sees_the_password(config: Path) -> None:
    entries = (
        Entry("GET", "/v2/", headers={"authorization": None}),
        Entry(
            "GET",
            "/v2/",
            headers={"authorization": BASIC},
            status=401,
            reply={"WWW-Authenticate": 'Basic realm="r"'},
        ),
    )
    with serve(*entries) as server:
        result = login(server.host)
    assert "does not accept" in str(result.exception)
    assert not config.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["https://h.example/"], "write 'h.example'"),
        (["h.example"], "--username is needed"),
        (["h.example", "--username", "u"], "IMGCTL_PASSWORD is needed"),
        (["h.example", "--username", "robot", "--password-stdin"], "'robot$NAME'"),
        (["h.example", "--password", "x"], "No such option"),
    ],
)
def test_what_cannot_be_a_login(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, ["login", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_logging_out(config: Path) -> None:
    config.write_text(json.dumps({"auths": {"h.example": {"auth": "dTpw"}, "other": {}}}))
    runner = CliRunner()
    assert runner.invoke(cli, ["logout", "h.example"]).stdout == "logged out of h.example\n"
    assert runner.invoke(cli, ["logout", "h.example"]).stdout == "not logged in to h.example\n"
    assert json.loads(config.read_text()) == {"auths": {"other": {}}}
