"""The options that say how an image runs, shared by `manifests` and `deploy`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from deploy.manifests import KINDS
from deploy.workload import KUBEEDGE, TARGETS, Mount, Toleration, Workload
from imgctl.options import RegistryFlags
from registry.errors import BadInput, CorruptContent, Refused

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

    def workload(self, text: str, registry: RegistryFlags) -> tuple[Workload, Path | None]:
        """The workload for IMAGE, and its record's path if it has one.

        Raises BadInput or Refused; RegistryError when the image must be looked up and is not
        there.
        """
        from deploy.records import find_record, from_reference, is_reference

        if is_reference(text):
            arguments, record, path = (
                from_reference(_pinned(text, registry, self.offline)),
                {},
                None,
            )
        else:
            found = find_record(text, self.dist, self.root)
            arguments, record, path = found.arguments, found.record, found.path
        arguments |= {key: value for key, value in self.given.items() if value not in (None, ())}
        if self.kubesphere:
            description = str(record.get("description") or arguments["image"].name)
            arguments["annotations"] = {
                "kubesphere.io/alias-name": str(arguments["name"]),
                "kubesphere.io/description": description,
            }
        return Workload(**arguments), path


def workload_options(function: Command) -> Command:
    """Add the options on how an image runs; the command gets them as `flags`."""

    @functools.wraps(function)
    def wrapper(
        *args: Any,
        kind: tuple[str, ...],
        dist: Path,
        harbor: str | None,
        registry_host: str | None,
        project: str,
        offline: bool,
        kubesphere: bool,
        selector: tuple[str, ...],
        env: tuple[str, ...],
        volume: tuple[str, ...],
        toleration: tuple[str, ...],
        **kwargs: Any,
    ) -> Any:
        own = {key: kwargs.pop(key) for key in _PLAIN}
        own |= {
            "selector": tuple(_pair(item, "--selector") for item in selector),
            "env": tuple(_pair(item, "--env") for item in env),
            "mounts": tuple(Mount.parse(item) for item in volume),
            "tolerations": tuple(Toleration.parse(item) for item in toleration),
        }
        root = f"{harbor}/{project}" if harbor else registry_host or ""
        if registry_host and project != "algorithms":
            root = f"{registry_host}/{project}"
        flags = WorkloadFlags(_kinds(kind), dist, root, offline, own, kubesphere)
        return function(*args, flags=flags, **kwargs)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper


_PLAIN = (
    "name", "target", "args", "command", "gpus", "shared", "memory", "host_network",
    "namespace", "replicas", "node", "pull_policy", "pull_secret",
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
    click.option("--gpu", "gpus", type=int, help="nvidia.com/gpu limit; 0 for none."),
    click.option("--shared", is_flag=True, default=None, help="The GPU is time-sliced."),
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
    click.option("--project", default="algorithms", show_default=True, help="Harbor project."),
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


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"{option} {text!r} has no '='", "", "write KEY=VALUE")
    return key, value


def _pinned(text: str, registry: RegistryFlags, offline: bool) -> Any:
    """The reference with the digest of its arm64 manifest, checked in the registry."""
    from registry.oci import Platform
    from registry.reference import Reference

    image = Reference.parse(text)
    if offline:
        if not image.digest:
            raise BadInput(f"{text} names no digest", "--offline", "write REPOSITORY@sha256:…")
        return image
    from registry.client import RegistryClient

    with RegistryClient(registry.options(image.host)) as client:
        repository = client.repository(image.host, image.repository)
        document = repository.manifest(image.target)
        if document.is_index:
            document = repository.manifest(document.choose(Platform()).digest)
        found = _platform(repository.blob_bytes(document.config))
    if not found.matches(Platform()):
        raise Refused(f"{text} is for {found}", "a Jetson runs linux/arm64", "build it for arm64")
    return image.with_digest(image.digest or document.digest)


def _platform(config: bytes) -> Any:
    import json

    from registry.oci import Platform

    try:
        return Platform.from_json(json.loads(config))
    except (ValueError, AttributeError) as error:
        raise CorruptContent("the image's config is not JSON", str(error)[:120]) from error
