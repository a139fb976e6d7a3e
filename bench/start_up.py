"""Start-up: what a command costs before it does anything."""

from __future__ import annotations

import sys

from bench.measure import interleave, row, run
from bench.result import Result, Table, Target
from bench.setting import Setting
from tests.e2e.support import bases
from tests.e2e.support.registries import docker_registry

ABOUT = """\
Short commands, started again and again in turn. The bare interpreter is the floor below which no
program in Python gets; the peers are compiled. The last three of ours do work: a Dockerfile is
rendered from definition, matrix and templates; manifests are made from a build's record; a build
finds, after asking the registry for the base's digest, that nothing changed."""

RENDER = "imgctl render mnist --l4t r35.2.1"
MANIFESTS = "imgctl manifests mnist"
UP_TO_DATE = "imgctl build mnist, up to date"


def measure(setting: Setting) -> Result:
    """See ABOUT."""
    imgctl = setting.imgctl
    with docker_registry(setting.work / "registry") as registry:
        bases.push_base(registry.host, bases.PYTORCH, [bases.root_filesystem()])
        build = [imgctl, "build", "mnist", "--l4t", "r35.2.1", "--engine", "direct",
                 "--base-mirror", registry.host]  # fmt: skip
        run(build, cwd=setting.work)
        commands = {
            "python -I -S -c pass": [sys.executable, "-I", "-S", "-c", "pass"],
            "imgctl --version": [imgctl, "--version"],
            "crane version": ["crane", "version"],
            "oras version": ["oras", "version"],
            "skopeo --version": ["skopeo", "--version"],
            "docker buildx version": ["docker", "buildx", "version"],
            RENDER: [imgctl, *RENDER.split()[1:]],
            MANIFESTS: [imgctl, "manifests", "mnist", "--registry", registry.host],
            UP_TO_DATE: build,
        }
        candidates = {
            name: lambda number, command=command: run(command, cwd=setting.work)
            for name, command in commands.items()
        }
        runs = interleave(candidates, 5 if setting.quick else 21)
    rows = tuple(row(name, runs[name]) for name in commands)
    seconds = {item.name: item.figures["wall"].median for item in rows}
    limits = {"imgctl --version": 0.1, RENDER: 0.25, MANIFESTS: 0.25, UP_TO_DATE: 0.5}
    targets = tuple(Target(name, seconds[name], limit, "s") for name, limit in limits.items())
    return Result("start-up", "Start-up", ABOUT, (Table("One command", rows),), targets)
