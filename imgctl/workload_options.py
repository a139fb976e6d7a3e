"""The options that say how an image runs, shared by `manifests` and `deploy`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy.manifests import KINDS
from deploy.workload import GPU_RESOURCE, KUBEEDGE, TARGETS, Mount, Toleration, Workload
from imgctl.options import RegistryFlags
from imgctl.push_options import DEFAULT_PROJECT
from imgctl.signing_options import TrustFlags, trust_options
from registry.errors import BadInput

if TYPE_CHECKING:
    from deploy.remote_image import RemoteImage

Command = Callable[..., Any]


@dataclass(frozen=True)
class WorkloadFlags:
    """What the command line says on how an image runs; None leaves the record's word."""

    kinds: tuple[str, ...]
    dist: Path
    root: str
    offline: bool
    given: dict[str, Any]
    kubesphere: bool
    trust: TrustFlags | None

    def workload(self, text: str, registry: RegistryFlags) -> tuple[Workload, Path | None]:
        """The workload for IMAGE, and its record's path if it has one.

        Raises BadInput or Refused, also for an image without the signature that is asked for;
        RegistryError when the image must be looked up and is not there.
        """
        from deploy.records import (
            find_record,
            from_reference,
            is_reference,
            labels_of,
        )

        path: Path | None = None
        if is_reference(text):
            remote = looked_up(text, registry, self.offline)
            labels = remote.labels
            arguments = from_reference(remote.image, labels, remote.annotations)
            # Where nothing says whether its program ends, what is asked for does.
            arguments.setdefault("batch", not set(self.kinds) & {"deployment", "daemonset"})
        else:
            found = find_record(text, self.dist, self.root)
            arguments, labels, path = found.arguments, labels_of(found), found.path
        if self.trust is not None:
            if self.offline:
                raise BadInput(
                    "a signature cannot be checked with --offline", "it is in a registry"
                )
            self.trust.check(arguments["image"], registry)
        return self._made(arguments, labels), path

    def pushed(self, record: Mapping[str, Any], folder: Path) -> Workload:
        """The workload for the push record of a build that lies in folder."""
        from deploy.records import PUSH_FILE, Found, labels_of
        from deploy.workload import from_record

        found = Found(from_record(record), dict(record), folder / PUSH_FILE)
        return self._made(found.arguments, labels_of(found))

    def check(self) -> None:
        """Refuse what none of the workloads to come can have; BadInput or Refused."""
        from registry.reference import Reference

        some = Reference("localhost", "any", digest=f"sha256:{'0' * 64}")
        self._made({"name": "any", "image": some}, {})

    def _made(self, arguments: dict[str, Any], labels: Mapping[str, str]) -> Workload:
        """A workload from what the image says, and what the command line says beyond it."""
        from deploy.records import DESCRIPTION_LABEL

        arguments |= {key: value for key, value in self.given.items() if value not in (None, ())}
        if self.given["shared"] and self.given["gpus"] is None:
            arguments["gpus"] = 1
        if self.kubesphere:
            arguments["annotations"] = {
                "kubesphere.io/alias-name": str(arguments["name"]),
                "kubesphere.io/description": labels.get(DESCRIPTION_LABEL)
                or arguments["image"].name,
            }
        return Workload(**arguments)


def settled_flags(context: click.Context) -> WorkloadFlags:
    """The flags that `imgctl manifests` would have here: from environment and settings file.

    Raises BadInput or Refused for what no workload can have, before there is one.
    """
    root = context.find_root()
    if not isinstance(root.command, click.Group):
        raise TypeError("only commands of the group have settings")
    command = root.command.get_command(root, "manifests")
    if command is None:
        raise TypeError("the group has no command `manifests`")
    given = command.make_context("manifests", ["IMAGE"], parent=root).params
    flags = _flags(given, None)
    flags.check()
    return flags


def workload_options(function: Command) -> Command:
    """Add the options on how an image runs; the command gets them as `flags`."""

    @functools.wraps(function)
    def wrapper(*args: Any, trust: TrustFlags | None, **kwargs: Any) -> Any:
        flags = _flags(kwargs, trust)
        rest = {key: value for key, value in kwargs.items() if key not in _TAKEN}
        return function(*args, flags=flags, **rest)

    command = trust_options(wrapper)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _flags(given: Mapping[str, Any], trust: TrustFlags | None) -> WorkloadFlags:
    """From the values of the options by name; raises BadInput."""
    own = {key: given[key] for key in _PLAIN}
    own |= {
        "selector": pairs(given["selector"], "--selector"),
        "env": pairs(given["env"], "--env"),
        "mounts": tuple(Mount.parse(item) for item in given["volume"]),
        "tolerations": tuple(Toleration.parse(item) for item in given["toleration"]),
    }
    root = root_of(given["harbor"], given["registry_host"], given["project"])
    kinds = _kinds(given["kind"])
    return WorkloadFlags(
        kinds, given["dist"], root, given["offline"], own, given["kubesphere"], trust
    )


_PLAIN = (
    "name", "target", "args", "command", "gpus", "gpu_resource", "shared", "memory", "host_network",
    "namespace", "replicas", "node", "pull_policy", "pull_secret",
)  # fmt: skip

_TAKEN = frozenset(
    (*_PLAIN, "kind", "dist", "harbor", "registry_host", "project", "offline", "kubesphere",
     "selector", "env", "volume", "toleration")
)  # fmt: skip

_OPTIONS = (
    click.option(
        "--kind",
        multiple=True,
        metavar="KIND",
        help=f"{', '.join(KINDS)} or all; may be repeated. [default: job for batch images,"
        " deployment for services]",
    ),
    click.option("--target", type=click.Choice(TARGETS), default=KUBEEDGE, show_default=True,
                 help="What runs the pods on the node."),
    click.option("--node", metavar="HOSTNAME", help="Run on this node."),
    click.option("--selector", multiple=True, metavar="KEY=VALUE", help="Run on such nodes."),
    click.option("--toleration", multiple=True, metavar="KEY[=VALUE][:EFFECT]",
                 help="A taint to tolerate."),
    click.option("--namespace", help="The namespace to run in."),
    click.option("--name", help="The workload's name.  [default: the image's]"),
    click.option("--replicas", type=int, help="Pods of a deployment.  [default: 1]"),
    click.option("--gpu", "gpus", type=int, help="GPUs to ask for, 0 for none."),
    click.option("--shared", is_flag=True, default=None,
                 help="The GPU is time-sliced: ask for one share of it."),
    click.option("--gpu-resource", metavar="NAME", default=GPU_RESOURCE, show_default=True,
                 help=f"Its name, {GPU_RESOURCE}.shared where the device plugin renames shares."),
    click.option("--memory", metavar="QUANTITY", help="Memory limit, like 4Gi."),
    click.option("--host-network/--no-host-network", default=None, help="Use the node's network."),
    click.option("--pull-policy", help="IfNotPresent, Always or Never."),
    click.option("--pull-secret", metavar="NAME", help="Secret to pull with."),
    click.option("--env", multiple=True, metavar="NAME=VALUE", help="Environment variable."),
    click.option("--command", multiple=True, metavar="WORD", help="Command, word by word."),
    click.option("--arg", "args", multiple=True, metavar="WORD", help="Argument, word by word."),
    click.option("--volume", multiple=True, metavar="/ON/NODE:/IN/CONTAINER[:ro]",
                 help="A folder of the node."),
    click.option("--kubesphere", is_flag=True, help="Add what KubeSphere's console shows."),
    click.option("--dist", type=click.Path(path_type=Path), default=Path("dist"),
                 show_default=True, help="Where builds are."),
    click.option("--harbor", metavar="HOST", help="Where an image not pushed yet will be."),
    click.option("--registry", "registry_host", metavar="HOST[/PATH]", help="Likewise."),
    click.option("--project", default=DEFAULT_PROJECT, show_default=True, help="Harbor project."),
    click.option("--offline", is_flag=True, help="Do not look a reference up in its registry."),
)  # fmt: skip


def _kinds(asked: tuple[str, ...]) -> tuple[str, ...]:
    split = [kind.strip().lower() for item in asked for kind in item.split(",")]
    if "all" in split:
        return KINDS
    for kind in split:
        if kind not in KINDS:
            raise BadInput(f"unknown kind {kind!r}", "", f"one of {', '.join(KINDS)}, all")
    return tuple(split)


def root_of(harbor: str | None, plain: str | None, project: str) -> str:
    """`HOST/PROJECT` of --harbor, or HOST[/PATH] of --registry, with a project where one is named.

    For an image that was not pushed; empty where neither is given.
    """
    if plain and project != DEFAULT_PROJECT:
        return f"{plain}/{project}"
    return f"{harbor}/{project}" if harbor else plain or ""


def pairs(texts: tuple[str, ...], option: str) -> tuple[tuple[str, str], ...]:
    """Each `KEY=VALUE` of an option given several times, parted; raises BadInput."""
    for text in texts:
        if "=" not in text:
            raise BadInput(f"{option} {text!r} has no '='", "", "write KEY=VALUE")
    return tuple((text.partition("=")[0], text.partition("=")[2]) for text in texts)


def looked_up(text: str, registry: RegistryFlags, offline: bool) -> RemoteImage:
    """What the registry says of a reference; offline, only what the reference itself says."""
    from deploy.remote_image import RemoteImage, look_up
    from registry.reference import Reference

    image = Reference.parse(text)
    if offline:
        if not image.digest:
            raise BadInput(f"{text} names no digest", "--offline", "write REPOSITORY@sha256:…")
        return RemoteImage(image, {}, 0)
    from registry.client import RegistryClient

    with RegistryClient(registry.options(image.host)) as client:
        return look_up(client, image)
