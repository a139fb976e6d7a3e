"""Waiting for a garbage collection, on a Harbor that follows a script."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.errors import RegistryError
from registry.harbor import gc
from registry.harbor.problems import Conflict
from tests.support.reqresp import Entry
from tests.unit.registry.harbor.scripted import failure, harbor, refusal, reply


def run(status: str, parameters: str = "{}", **fields: Any) -> Entry:
    value = {"id": 7, "job_status": status, "job_parameters": parameters}
    return reply("GET", "/system/gc/7", value, **fields)


def test_a_run_is_waited_for_and_its_figures_are_read() -> None:
    figures = {"dry_run": True, "purged_blobs": 3, "purged_manifests": 1, "freed_space": 4096}
    pauses: list[float] = []
    before = run("Pending", once=True), run("Running", once=True)
    with harbor(*before, run("Success", json.dumps(figures))) as (api, _):
        done = gc.wait(api, 7, pause=pauses.append)
    assert (done.blobs, done.manifests, done.freed, done.dry_run) == (3, 1, 4096, True)
    assert pauses == [2.0, 2.0]


def test_a_harbor_that_keeps_no_figures_says_none() -> None:
    with harbor(run("Success", "not JSON")) as (api, _):
        assert gc.wait(api, 7).freed is None


def test_a_run_that_fails_or_takes_too_long_is_an_error() -> None:
    error = failure(lambda api: gc.wait(api, 7), run("Error"))
    assert "ended with Error" in str(error)
    assert "/api/v2.0/system/gc/7/log" in error.hint
    with harbor(run("Running")) as (api, _), pytest.raises(RegistryError, match="is not over"):
        gc.wait(api, 7, timeout=0)


def test_two_at_a_time_are_refused_in_so_many_words() -> None:
    entry = refusal("POST", "/system/gc/schedule", 409, "CONFLICT", "job is running")
    error = failure(lambda api: gc.start(api, dry_run=True), entry)
    assert isinstance(error, Conflict)
    assert "that is being done already" in error.what
