"""Endpoints, proxy caches and replications, on a double of Harbor and on scripted ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import Refused, RegistryError
from registry.harbor import registries, replication
from registry.harbor.proxy import set_up_proxy_cache
from registry.harbor.registries import Endpoint
from registry.harbor.replication import Replication, by_folder, set_up_replication
from registry.harbor.steps import State
from tests.support.reqresp import Entry
from tests.unit.registry.harbor.doubled import PROJECT, add_robot, bench
from tests.unit.registry.harbor.scripted import failure, harbor, refusal, reply

NVCR = Endpoint("nvcr.io", "https://nvcr.io", username="$oauthtoken", password="S3cret-key")
BASES = Replication(
    "bases", ("nvidia/l4t-base", "nvidia/l4t-pytorch"), ("r35.2.1", "r35.4.1"), "nvcr"
)


def test_an_endpoint_is_made_once_and_known_by_its_address(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        (step,) = registries.set_up_endpoint(given.api, NVCR)
        assert step.state is State.MADE
        assert "$oauthtoken" in step.detail
        (kept,) = given.double.state.registries.values()
        assert (kept["type"], kept["insecure"]) == ("docker-registry", False)
        same = Endpoint("another", "https://nvcr.io/")
        (step,) = registries.set_up_endpoint(given.api, same)
        assert (step.state, step.detail.startswith("nvcr.io: ")) == (State.THERE, True)
        assert len(given.double.state.registries) == 1


def test_a_registry_that_harbor_cannot_reach_is_told_as_such() -> None:
    entry = refusal("POST", "/registries", 400, "BAD_REQUEST", "the registry is unhealthy")
    error = failure(lambda api: registries.create(api, NVCR), entry)
    assert "the registry is unhealthy" in error.why
    assert "Harbor itself must reach it" in error.hint
    assert "S3cret" not in str(error)


def test_a_proxy_cache_is_made_once(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        dry = list(set_up_proxy_cache(given.api, "cache", NVCR, dry_run=True))
        assert "cache" not in given.double.state.projects
        assert given.double.state.registries == {}
        made = list(set_up_proxy_cache(given.api, "cache", NVCR))
        assert made == dry
        assert {step.state for step in made} == {State.MADE}
        project = given.double.state.projects["cache"]
        assert project.registry_id in given.double.state.registries
        again = set_up_proxy_cache(given.api, "cache", NVCR)
        assert {step.state for step in again} == {State.THERE}
        assert not project.public
        for state in (State.CHANGED, State.THERE):
            *_, step = set_up_proxy_cache(given.api, "cache", NVCR, public=True)
            assert (step.state, step.detail) == (state, f"of {NVCR.url}, public")
        assert project.public


def test_a_project_does_not_become_a_proxy_cache(tmp_path: Path) -> None:
    with bench(tmp_path) as given, pytest.raises(Refused, match="is not a proxy cache of"):
        list(set_up_proxy_cache(given.api, PROJECT, NVCR))


def test_only_an_administrator_makes_endpoints(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        robot = add_robot(given.double, "project:read")
    with bench(tmp_path / "r", given.double, projects=(), credentials=robot) as given:
        (step,) = set_up_proxy_cache(given.api, "cache", NVCR)
        assert step.state is State.REFUSED
        assert robot.username in step.detail


def test_a_replication_names_outright_what_is_to_come(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        list(registries.set_up_endpoint(given.api, NVCR))
        endpoint = registries.find(given.api, NVCR.url)
        assert endpoint is not None
        (step,) = set_up_replication(given.api, endpoint, BASES)
        assert (step.state, step.detail) == (
            State.MADE, "nvidia/{l4t-base,l4t-pytorch}:{r35.2.1,r35.4.1}"
        )  # fmt: skip
        (policy,) = given.double.state.policies.values()
        assert policy["dest_namespace_replace_count"] == 0  # nvidia/l4t-base stays below nvcr
        (step,) = set_up_replication(given.api, endpoint, BASES)
        assert step.state is State.THERE
        other = Replication("bases", ("nvidia/l4t-base",), ("r35.2.1",), "nvcr")
        (step,) = set_up_replication(given.api, endpoint, other)
        assert (step.state, step.detail) == (State.CHANGED, "nvidia/l4t-base:r35.2.1")
        assert len(given.double.state.policies) == 1
        assert replication.run(given.api, "bases")["status"] == "Succeed"


def test_each_folder_is_a_replication_of_its_own() -> None:
    images = [
        ("nvidia/a", "1"),
        ("nvidia/b", "1"),
        ("nvidia/a", "2"),
        ("team/x/c", "3"),
        ("d", "4"),
    ]
    found = by_folder("bases", images, "nvcr")
    assert [(item.name, item.repositories, item.tags) for item in found] == [
        ("bases-nvidia", ("nvidia/a", "nvidia/b"), ("1", "2")),
        ("bases-team-x", ("team/x/c",), ("3",)),
        ("bases", ("d",), ("4",)),
    ]


POLICY = reply("GET", "/replication/policies", [{"id": 3, "name": "bases"}])
STARTED = reply("POST", "/replication/executions", status=201,
                reply={"Location": "/api/v2.0/replication/executions/9"})  # fmt: skip


def state(status: str, *, once: bool = False, **fields: object) -> Entry:
    value = {"id": 9, "status": status, "total": 2, **fields}
    return reply("GET", "/replication/executions/9", value, once=once)


def test_a_run_is_waited_for() -> None:
    pauses: list[float] = []
    script = (POLICY, STARTED, state("InProgress", once=True), state("Succeed", succeed=2))
    with harbor(*script) as (api, _):
        assert replication.run(api, "bases", pause=pauses.append)["succeed"] == 2
    assert pauses == [5.0]


def test_a_run_that_fails_says_what_harbor_says() -> None:
    script = (POLICY, STARTED, state("Failed", failed=1))
    error = failure(lambda api: replication.run(api, "bases"), *script)
    assert "ended with Failed" in error.what
    assert error.why == "1 of 2 images failed"
    assert "execution 9" in error.hint


def test_a_run_that_takes_too_long_and_one_that_is_not_there() -> None:
    with harbor(POLICY, STARTED, state("InProgress")) as (api, _):
        with pytest.raises(RegistryError, match="is not over"):
            replication.run(api, "bases", timeout=0)
        with pytest.raises(RegistryError, match="there is none by that name"):
            replication.run(api, "other")
