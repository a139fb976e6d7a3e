"""A script image on a base that the registry has: requests, bytes, and the time over distance."""

from __future__ import annotations

import shlex
import shutil
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import httpx

from bench.bases import push_large
from bench.measure import Run, interleave, run
from bench.proxy import Relay, Traffic, relay
from bench.result import Figure, Result, Row, Table, Target
from bench.scripts import write_image, write_layer
from bench.setting import Setting
from registry.oci import ACCEPT
from tests.e2e.support.bases import PYTORCH
from tests.e2e.support.registries import docker_registry

ABOUT = """\
The image is a script of 18 kB on a base that lies in another repository of the same registry.
*First* goes into a repository that does not exist, *changed* brings the next version of the script
to where the last one is, *unchanged* repeats it. All goes through a relay that counts requests and
bytes; *beyond the blobs* is the bytes of all bodies, both ways, without the new layer and config.
`crane append` reads the base as well, which of imgctl's two commands `imgctl build` does: so the
table has both, and build and push together. *Far* is a relay that adds 50 ms to every exchange and
to every new connection."""

DISTANCE = 0.05  # seconds
FIRST, CHANGED, UNCHANGED = "first", "changed", "unchanged"


@dataclass(frozen=True)
class Passage:
    """A run, what it moved, and the bytes of the blobs that were new."""

    run: Run
    traffic: Traffic
    new: int

    @property
    def beyond(self) -> int:
        """Bytes of bodies, both ways, that were not the new blobs."""
        return self.traffic.body_up + self.traffic.body_down - self.new


@dataclass(frozen=True)
class Way:
    """A relay to the registry, and how many layers the base on it has.

    name: part of every folder and repository that is only this way's.
    """

    setting: Setting
    through: Relay
    layers: int
    name: str
    rounds: int

    @property
    def mirror(self) -> str:
        """Where the base is, for --base-mirror."""
        return f"{self.through.host}/base-{self.layers}"

    def dist(self, number: int) -> str:
        """The folder of builds that the first push of this round is made from."""
        return f"dist-{self.name}-{number}"


Candidates = dict[str, Callable[[int], Passage]]
Measured = dict[str, list[Passage]]


def measure(setting: Setting) -> Result:
    """See ABOUT."""
    rounds = 2 if setting.quick else 9
    results: dict[str, Measured] = {}
    with ExitStack() as stack:
        registry = stack.enter_context(docker_registry(setting.work / "registry"))
        relays = {
            "near": stack.enter_context(relay(registry.host)),
            "far": stack.enter_context(relay(registry.host, DISTANCE)),
        }
        for layers in (2, 11):
            push_large(registry.host, f"base-{layers}/{PYTORCH}", layers * 1_000_000, layers)
            for where, through in relays.items():
                way = Way(setting, through, layers, f"{where}-{layers}", rounds)
                setting.say(f"{where}, {layers} layers")
                _prepare(way)
                candidates = _imgctl(way) | _crane(way)
                results[way.name] = interleave(candidates, rounds)
    tables = tuple(_table(name, measured) for name, measured in results.items())
    return Result("push", "Pushing what changed", ABOUT, tables, _targets(results))


def _prepare(way: Way) -> None:
    """Build each version once; the first one for every round anew, with no record of a push."""
    work = way.setting.work
    for version in range(way.rounds + 1):
        write_image(work, "job", f"1.0.{version}")
        write_layer(work / f"layer-{version}.tar", "job", f"1.0.{version}")
        run(_build(way, way.dist(0)), cwd=work)
        if version == 0:
            for number in range(1, way.rounds):
                shutil.copytree(work / way.dist(0), work / way.dist(number))


def _build(way: Way, dist: str) -> list[str]:
    return [way.setting.imgctl, "build", "job", "--l4t", "r35.2.1", "--engine", "direct",
            "--base-mirror", way.mirror, "--dist", dist]  # fmt: skip


def _imgctl(way: Way) -> Candidates:
    host, name = way.through.host, way.name

    def push(dist: int, project: str, version: int) -> Passage:
        tag = f"1.0.{version}-l4t-r35.2.1"
        command = [way.setting.imgctl, "push", f"job:{tag}", "--dist", way.dist(dist),
                   "--no-manifests", "--registry", f"{host}/{project}"]  # fmt: skip
        return _pass(way, command, f"{project}/job", tag)

    def both(number: int) -> Passage:
        dist, project = f"dist-both-{name}-{number}", f"both-{name}-{number}"
        build = shlex.join(_build(way, dist))
        push = shlex.join([way.setting.imgctl, "push", "job", "--dist", dist, "--no-manifests",
                           "--registry", f"{host}/{project}"])  # fmt: skip
        tag = f"1.0.{way.rounds}-l4t-r35.2.1"
        return _pass(way, ["sh", "-c", f"{build} && {push}"], f"{project}/job", tag)

    return {
        f"imgctl push, {FIRST}": lambda number: push(number, f"first-{name}-{number}", 0),
        f"imgctl build && imgctl push, {FIRST}": both,
        f"imgctl push, {CHANGED}": lambda number: push(0, f"first-{name}-0", number + 1),
        f"imgctl push, {UNCHANGED}": lambda number: _unchanged(push(0, f"first-{name}-0", 0)),
    }


def _crane(way: Way) -> Candidates:
    host, name = way.through.host, way.name

    def append(repository: str, version: int) -> Passage:
        command = ["crane", "append", "--base", f"{way.mirror}/{PYTORCH}",
                   "--new_layer", f"layer-{version}.tar",
                   "--new_tag", f"{host}/{repository}:{version}"]  # fmt: skip
        return _pass(way, command, repository, str(version))

    return {
        f"crane append, {FIRST}": lambda number: append(f"crane-{name}-{number}", 0),
        f"crane append, {CHANGED}": lambda number: append(f"crane-{name}-0", number + 1),
        f"crane append, {UNCHANGED}": lambda number: _unchanged(append(f"crane-{name}-0", 0)),
    }


def _pass(way: Way, command: Sequence[str], repository: str, tag: str) -> Passage:
    """Run a command that pushes an image, and count what passed the relay meanwhile."""
    way.through.reset()
    done = run(command, cwd=way.setting.work)
    traffic = way.through.traffic()
    answer = httpx.get(f"http://{way.through.host}/v2/{repository}/manifests/{tag}",
                       headers={"Accept": ACCEPT}).raise_for_status()  # fmt: skip
    manifest = answer.json()
    return Passage(done, traffic, manifest["config"]["size"] + manifest["layers"][-1]["size"])


def _unchanged(passage: Passage) -> Passage:
    """The same run, seen as one with no new blobs."""
    return replace(passage, new=0)


def _table(name: str, measured: Measured) -> Table:
    where, layers = name.split("-")
    rows = tuple(_row(tool, passages) for tool, passages in measured.items())
    distance = f"far ({1000 * DISTANCE:.0f} ms)" if where == "far" else "near"
    return Table(f"On a base of {layers} layers, {distance}", rows)


def _row(name: str, passages: list[Passage]) -> Row:
    figures = {
        "wall": Figure.of("s", (item.run.seconds for item in passages)),
        "requests": Figure.of("", (item.traffic.requests for item in passages)),
        "connections": Figure.of("", (item.traffic.connections for item in passages)),
        "beyond the blobs": Figure.of("B", (item.beyond for item in passages)),
        "on the wire": Figure.of(
            "B", (item.traffic.wire_up + item.traffic.wire_down for item in passages)
        ),
    }
    return Row(name, figures)


def _targets(results: dict[str, Measured]) -> tuple[Target, ...]:
    near, far = results["near-2"], results["far-2"]
    first, again = f"imgctl push, {FIRST}", f"imgctl push, {CHANGED}"
    nothing = f"imgctl push, {UNCHANGED}"
    ratio = _wall(far[first]) / _wall(far[f"crane append, {FIRST}"])
    return (
        Target("requests of a first push, 2 layers below", _requests(near[first]), 19, ""),
        Target("requests of a first push, against crane", _requests(near[first]),
               _requests(near[f"crane append, {FIRST}"]), ""),
        Target("requests of a changed push, 2 layers below", _requests(near[again]), 10, ""),
        Target("requests of a changed push, against crane", _requests(near[again]),
               _requests(near[f"crane append, {CHANGED}"]), ""),
        Target("beyond the new blobs, first push", max(item.beyond for item in near[first]),
               3000, "B"),
        Target("push with nothing to do", _wall(near[nothing]), 0.3, "s"),
        Target("requests of a push with nothing to do", _requests(near[nothing]), 6, ""),
        Target("first push over 50 ms, of crane's time", ratio, 0.7, "x"),
    )  # fmt: skip


def _wall(passages: list[Passage]) -> float:
    return statistics.median(item.run.seconds for item in passages)


def _requests(passages: list[Passage]) -> int:
    return max(item.traffic.requests for item in passages)
