"""What the doctor says of the registry images are pushed to."""

from __future__ import annotations

import pytest

from builder.doctor.check import Check
from builder.doctor.registries import check_target
from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.retry import RetryPolicy
from tests.support.reqresp import Entry, serve
from tests.unit.registry.harbor.scripted import ROBOT, VERSION, reply, system

CHALLENGE = {"WWW-Authenticate": 'Basic realm="harbor"'}
ASKS = Entry("GET", "/v2/", status=401, reply=CHALLENGE, once=True)
LETS_IN = Entry("GET", "/v2/", status=200)
REFUSES = Entry("GET", "/v2/", status=401, reply=CHALLENGE)


def checked(*entries: Entry, credentials: Credentials | None = ROBOT) -> tuple[Check, str]:
    """The check of a scripted host, and the host."""
    options = RegistryOptions(credentials=lambda host: credentials, retry=RetryPolicy(attempts=1))
    with serve(*entries) as server, RegistryClient(options) as client:
        return check_target(client, server.host), server.host


def test_a_harbor_is_told_with_its_version_and_the_account() -> None:
    check, host = checked(ASKS, LETS_IN, system())
    assert check.state == "ok"
    assert check.says == f"Harbor {VERSION.partition('-')[0]} on {host} answers to robot$ci"


def test_a_harbor_in_read_only_mode_takes_no_push() -> None:
    check, _ = checked(ASKS, LETS_IN, system(read_only=True))
    assert check.state == "failed"
    assert "read-only mode" in check.says


def test_any_other_registry_is_told_from_a_harbor() -> None:
    missing = reply("GET", "/systeminfo", "404 page not found", 404)
    check, host = checked(ASKS, LETS_IN, missing)
    assert check.state == "ok"
    assert check.says.startswith(f"{host} is no Harbor (push there with --registry)")


def test_a_wrong_password_points_at_login() -> None:
    check, host = checked(ASKS, REFUSES)
    assert check.state == "failed"
    assert check.remedies[0] == f"imgctl login {host}"
    assert "S3cret-pass" not in str(check)


@pytest.mark.parametrize(("answer", "state"), [(LETS_IN, "warning"), (REFUSES, "failed")])
def test_without_a_login_a_push_may_fail(answer: Entry, state: str) -> None:
    check, host = checked(answer, credentials=None)
    assert check.state == state
    assert check.remedies[0] == f"imgctl login {host}"
