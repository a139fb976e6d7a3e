"""`imgctl harbor artifacts`, `tag`, `copy`: what lies in a project, under which names."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from imgctl.harbor_options import dry_run_option, echo_step, harbor_options, open_harbor
from imgctl.options import RegistryFlags
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.harbor.api import HarborApi
    from registry.harbor.artifacts import Artifact
    from registry.harbor.target import HarborTarget
    from registry.repository import Repository

_DIGEST = len("sha256:") + 12


@click.command(name="artifacts")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@harbor_options
def artifacts(
    images: tuple[str, ...],
    harbor: str | None,
    project: str,
    registry: RegistryFlags,
    output_format: str,
) -> None:
    """List what the project holds, newest first, with tags, size, platform, labels and scan.

    IMAGE is a repository of the project; without any, all of them.
    """
    from imgctl.output import print_json
    from registry.harbor import artifacts as resource
    from registry.harbor import projects
    from registry.workers import work

    projects.check_project(project)
    with open_harbor(harbor, registry) as api:
        if not projects.exists(api, project):
            raise projects.missing(project, api.host)
        names = [_name(item) for item in images] or sorted(projects.repositories(api, project))

        def look(name: str) -> list[Artifact]:
            return list(resource.listing(api, project, name, scan=True))

        found = work(look, names, registry.concurrency, threading.Event())
        rows = [(name, item) for name, items in zip(names, found, strict=True) for item in items]
        for name, items in zip(names, found, strict=True):
            if images and not items:
                click.echo(f"imgctl: {api.host}/{project}/{name} holds nothing", err=True)
    if output_format == "json":
        print_json([_as_json(api.host, project, *row) for row in rows])
    else:
        for name, item in rows:
            click.echo("  ".join(_cells(name, item)).rstrip())


@click.command(name="tag")
@click.argument("image", metavar="IMAGE[:TAG|@DIGEST]")
@click.argument("tags", metavar="TAG...", nargs=-1, required=True)
@click.option("--delete", is_flag=True, help="Take the tags off IMAGE instead.")
@dry_run_option
@harbor_options
def tag(
    image: str,
    tags: tuple[str, ...],
    delete: bool,
    harbor: str | None,
    project: str,
    registry: RegistryFlags,
    output_format: str,
    dry_run: bool,
) -> None:
    """Let TAGs name what IMAGE:TAG names, in one step each; nothing is pulled or pushed.

    A tag that names something else is moved, unless a rule of the project holds it.
    """
    from imgctl.output import print_json
    from registry.harbor.tagging import move_tags, take_tags_off
    from registry.reference import check_tag

    name, reference = _reference(image)
    wanted = tuple(dict.fromkeys(check_tag(item) for item in tags))
    if delete and reference:
        raise BadInput("--delete goes with IMAGE alone", "", f"write: {name} {' '.join(wanted)}")
    with open_harbor(harbor, registry) as api:
        target = _target(api, project, dry_run)
        if delete:
            steps = take_tags_off(api, project, name, target, wanted, dry_run=dry_run)
        else:
            repository = _repository(api, project, name)
            steps = move_tags(repository, target, reference or "latest", wanted, dry_run=dry_run)
    if output_format == "json":
        value: dict[str, Any] = {"repository": f"{api.host}/{project}/{name}"}
        value["tags"] = [step.to_json() for step in steps]
        print_json(value | {"dry_run": True} if dry_run else value)
        return
    for step in steps:
        echo_step(step, dry_run=dry_run)


@click.command(name="copy")
@click.argument("image", metavar="IMAGE[:TAG|@DIGEST]")
@click.argument("to", metavar="PROJECT[/IMAGE][:TAG]")
@click.option("--create-project", is_flag=True, help="Make the project if it is missing.")
@click.option("--referrers/--no-referrers", default=True, show_default=True,
              help="Signatures, SBOMs and the like come along.")  # fmt: skip
@dry_run_option
@harbor_options
def copy(
    image: str,
    to: str,
    create_project: bool,
    referrers: bool,
    harbor: str | None,
    project: str,
    registry: RegistryFlags,
    output_format: str,
    dry_run: bool,
) -> None:
    """Copy one image to another project or name of this Harbor; blobs are mounted, none are sent.

    Only the tag asked for goes along, unlike with Harbor's own copy, which takes them all.
    """
    from imgctl.output import print_json
    from imgctl.progress import moved
    from registry.harbor.tagging import copy_image
    from registry.transfer import CopyOptions

    name, reference = _reference(image)
    other, new_name, new_tag = _destination(to, name, reference)
    options = CopyOptions(concurrency=registry.concurrency, referrers=referrers, dry_run=dry_run)
    with open_harbor(harbor, registry) as api:
        source = _repository(api, project, name, push=False)
        target = _target(api, other, dry_run, create_project=create_project)
        source.manifest(reference or "latest")
        into = target.prepare(_repository(api, other, new_name, mount_from=source.name))
        done = copy_image(source, target, into, reference or "latest", new_tag, options=options)
        requests = api.client.requests
    pinned = f"{api.host}/{other}/{new_name}:{new_tag}@{done.descriptor.digest}"
    if output_format == "json":
        tally = done.tally
        value = {
            "source": f"{api.host}/{project}/{image}",
            "reference": pinned,
            "digest": done.descriptor.digest,
            "bytes": {"sent": tally.sent_bytes, "mounted": tally.mounted_bytes,
                      "present": tally.present_bytes},
            "unchanged": done.unchanged,
            "requests": requests,
        }  # fmt: skip
        print_json(value | {"dry_run": True} if dry_run else value)
        return
    click.echo(pinned)
    says = "already there" if done.unchanged else moved(done.tally, would=dry_run)
    click.echo(f"  {says}, {requests} requests", err=True)


def _target(
    api: HarborApi, project: str, dry_run: bool, *, create_project: bool = False
) -> HarborTarget:
    from imgctl.project_policy import project_policy
    from registry.harbor.target import HarborTarget

    return HarborTarget(
        api, project, create_project=create_project, policy=project_policy(), dry_run=dry_run
    )


def _repository(
    api: HarborApi, project: str, name: str, *, push: bool = True, mount_from: str = ""
) -> Repository:
    others = [mount_from] if mount_from else []
    return api.client.repository(api.host, f"{project}/{name}", push=push, mount_from=others)


def _name(text: str) -> str:
    from registry.reference import check_repository

    return check_repository(text)


def _reference(text: str) -> tuple[str, str]:
    """Repository within the project, and tag or digest (empty for none), of IMAGE:TAG."""
    from registry.reference import Reference

    parsed = Reference.parse(f"harbor.invalid/project/{text}")
    return parsed.repository.removeprefix("project/"), parsed.digest or parsed.tag or ""


def _destination(to: str, name: str, reference: str) -> tuple[str, str, str]:
    """Project, repository and tag of PROJECT[/IMAGE][:TAG]; those of the source where not given."""
    from registry.harbor.projects import check_project
    from registry.reference import Reference, is_digest

    parsed = Reference.parse(f"harbor.invalid/{to}")
    project, _, rest = parsed.repository.partition("/")
    if parsed.digest:
        raise BadInput(f"the target {to} is named by digest", "", "name it by tag")
    tag = parsed.tag or ("" if is_digest(reference) else reference or "latest")
    if not tag:
        raise BadInput("which tag shall it get?", "the image is named by digest", f"{to}:TAG")
    return check_project(project), rest or name, tag


def _cells(name: str, item: Artifact) -> tuple[str, ...]:
    from imgctl.progress import size
    from registry.harbor.scan import ScanReport, ScanState

    report = ScanReport.of(item)
    platform = f"{item.os}/{item.architecture}" if item.os else "index" if item.is_index else ""
    return (
        f"{name}@{item.digest[:_DIGEST]}",
        f"{size(item.size):>8}",
        f"{platform:<11}",
        item.push_time[:10],
        ", ".join(item.tags) or "(no tag)",
        f"[{', '.join(item.labels)}]" if item.labels else "",
        "not scanned" if report.state is ScanState.ABSENT else f"scan: {report}",
    )


def _as_json(host: str, project: str, name: str, item: Artifact) -> dict[str, Any]:
    from registry.harbor.scan import ScanReport

    return {
        "repository": f"{host}/{project}/{name}",
        "digest": item.digest,
        "tags": list(item.tags),
        "size": item.size,
        "platform": f"{item.os}/{item.architecture}" if item.os else None,
        "media_type": item.manifest_media_type,
        "labels": list(item.labels),
        "pushed": item.push_time,
        "scan": ScanReport.of(item).to_json(),
    }
