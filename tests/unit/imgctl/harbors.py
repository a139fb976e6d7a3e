"""A double of Harbor with an empty project, and somebody logged in to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from registry.credentials import Credentials
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double

PROJECT = "algorithms"


@contextmanager
def administrated(
    monkeypatch: pytest.MonkeyPatch, double: HarborDouble | None = None
) -> Iterator[RunningHarbor]:
    """A Harbor with an empty project; its administrator asks."""
    with harbor_double(double, projects=(PROJECT,)) as running:
        log_in(monkeypatch, running, Credentials(running.username, running.password))
        yield running


def log_in(
    monkeypatch: pytest.MonkeyPatch, running: RunningHarbor, credentials: Credentials
) -> None:
    """Let the commands that follow use this Harbor as this user."""
    monkeypatch.setenv("IMGCTL_HARBOR", running.host)
    monkeypatch.setenv("IMGCTL_USERNAME", credentials.username)
    monkeypatch.setenv("IMGCTL_PASSWORD", credentials.password)
