"""The Docker engine and its buildx builders."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.doctor.check import Check, failed, ok, warning
from builder.engines.child import ask
from builder.engines.select import Builder

DOCKER, BUILDX = "docker", "buildx"
_OLDEST = 23  # the first with BuildKit as its builder and a containerd image store

WITHOUT_DOCKER = "build with --engine direct, which needs no Docker, where no step has to run"


@dataclass(frozen=True)
class DockerFacts:
    """What the docker command answered.

    status: its exit status, 127 where there is no such command, 124 where it took too long.
    said: its last words. address: DOCKER_HOST, or empty. root: where the daemon keeps images, on
    its own machine. containerd: whether images are in the containerd image store.
    """

    status: int
    said: str = ""
    address: str = ""
    client: str = ""
    server: str = ""
    root: str = ""
    containerd: bool = False

    @property
    def answers(self) -> bool:
        """Whether there is a daemon to talk to."""
        return self.status == 0

    @property
    def is_local(self) -> bool:
        """Whether the daemon is on this machine, as far as its address tells."""
        return self.address.startswith("unix:") or not self.address


def ask_docker(environment: Mapping[str, str]) -> DockerFacts:
    """Ask the engine for its versions and the place of its images; never raises."""
    address = environment.get("DOCKER_HOST", "")
    status, text = ask(["docker", "version", "--format", "{{json .}}"], environment)
    version = _object(text)
    client = _text(version.get("Client"), "Version")
    server = _text(version.get("Server"), "Version")
    if status != 0 or not server:
        return DockerFacts(status or 1, _last_line(text), address, client)
    status, text = ask(["docker", "info", "--format", "{{json .}}"], environment)
    info = _object(text)
    return DockerFacts(
        status,
        _last_line(text) if status else "",
        address,
        client,
        server,
        _text(info, "DockerRootDir"),
        "io.containerd.snapshotter" in json.dumps(info.get("DriverStatus")),
    )


def check_docker(facts: DockerFacts) -> Check:
    """Whether there is an engine that can be used."""
    if facts.status == 127:
        return failed(
            DOCKER,
            "there is no docker command",
            "install Docker 23 or later with its buildx plugin",
            WITHOUT_DOCKER,
        )
    if not facts.answers:
        return failed(DOCKER, _why_silent(facts), *_remedies(facts))
    place = f" at {facts.address}" if facts.address else ""
    says = f"Docker {facts.server} answers{place}"
    if int(re.match(r"\d*", facts.server)[0] or 0) < _OLDEST:  # type: ignore[index]
        return warning(DOCKER, f"{says}, which is old", "install Docker 23 or later")
    return ok(DOCKER, says)


def _why_silent(facts: DockerFacts) -> str:
    if facts.status == 124:
        return f"the Docker daemon hangs: {facts.said}"
    where = f" (DOCKER_HOST is {facts.address})" if facts.address else ""
    return f"the Docker daemon does not answer{where}: {facts.said}"


def _remedies(facts: DockerFacts) -> tuple[str, ...]:
    if "permission denied" in facts.said.lower():
        return ("sudo usermod -aG docker $USER, then log in again", WITHOUT_DOCKER)
    if facts.status == 124:
        return ("sudo systemctl restart docker", WITHOUT_DOCKER)
    if facts.address:
        return (
            "unset DOCKER_HOST to use this machine's own daemon, or start the one it names",
            WITHOUT_DOCKER,
        )
    return ("sudo systemctl start docker", WITHOUT_DOCKER)


def list_builders(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Every builder as `NAME (DRIVER, STATUS)`; empty where buildx cannot tell."""
    status, text = ask(["docker", "buildx", "ls", "--format", "json"], environment)
    if status != 0:
        return ()
    found = [_object(line) for line in text.splitlines()]
    return tuple(
        f"{item['Name']} ({item.get('Driver') or 'unknown driver'}, {_status(item)})"
        for item in found
        if item.get("Name")
    )


def _status(builder: Mapping[str, Any]) -> str:
    error = builder.get("Err") or builder.get("Error")
    if error:
        return "broken"
    nodes = builder.get("Nodes") or []
    return ", ".join(dict.fromkeys(str(node.get("Status") or "inactive") for node in nodes))


def check_buildx(builder: Builder, every: tuple[str, ...]) -> Check:
    """Whether the builder that would be used can be. every: as list_builders has them."""
    known = f"; builders: {', '.join(every)}" if len(every) > 1 else ""
    if not builder.usable:
        return failed(BUILDX, f"{builder.why}{known}", builder.hint)
    platforms = ", ".join(dict.fromkeys(str(item) for item in builder.platforms)) or "none named"
    return ok(
        BUILDX,
        f"buildx {builder.version}, builder {builder.name} with driver {builder.driver} "
        f"for {platforms}{known}",
    )


def _object(text: str) -> dict[str, Any]:
    """The first JSON object among lines that may hold warnings too."""
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                return value
    return {}


def _text(value: Any, key: str) -> str:
    return str(value.get(key) or "") if isinstance(value, dict) else ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it says nothing"
