"""`imgctl push`: builds go to Harbor or another registry, and only what is missing moves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from registry.errors import ImgctlError

if TYPE_CHECKING:
    from registry.push import PushRecord
    from release.push import Pushed


@click.command(name="push")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@click.option("--harbor", metavar="HOST", help="The Harbor to push to.")
@click.option("--registry", "plain", metavar="HOST[/PATH]", help="Or any other registry.")
@click.option("--project", metavar="NAME", help="[default: algorithms on Harbor, else none]")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="Move this tag there as well.")
@click.option("--force", is_flag=True, help="Move even a tag that names another build.")
@click.option("--create-project", is_flag=True, help="Harbor: make the project if it is missing.")
@click.option("--label", "labels", metavar="NAME", multiple=True, help="Harbor: put on this label.")
@click.option("--scan", is_flag=True, help="Harbor: scan, and wait for the verdict.")
@click.option("--fail-on", metavar="SEVERITY",
              type=click.Choice(["low", "medium", "high", "critical"]),
              help="Harbor: exit 3 if the scan finds this or worse.")  # fmt: skip
@click.option("--base-mirror", metavar="HOST[/PREFIX]", help="Has the bases, instead of nvcr.io.")
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where builds are.")  # fmt: skip
@click.option("--no-manifests", is_flag=True, help="Write no pod.yaml and deployment.yaml.")
@click.option("--dry-run", is_flag=True, help="Look at everything, change nothing.")
@registry_options
@format_option
def command(
    images: tuple[str, ...],
    dist: Path,
    registry: RegistryFlags,
    output_format: str,
    **given: Any,
) -> int:
    """Push builds to Harbor or any registry: only what is missing there moves.

    IMAGE is NAME (all its builds), NAME:TAG or a folder; without any it is everything in dist/.
    Prints REPOSITORY:TAG@DIGEST, and writes push.json, pod.yaml and deployment.yaml beside each
    build.
    """
    from builder.dist import find_builds, known_builds
    from builder.mirror import Mirror
    from imgctl.progress import progress as shown
    from imgctl.push_options import place_of, target_of
    from imgctl.workload_options import settled_flags
    from registry.client import RegistryClient
    from registry.push import PushOptions
    from registry.reference import check_tag
    from release.push import Work, push_builds

    place = place_of(given)
    tags = tuple(check_tag(tag) for tag in given["tags"])
    mirror = Mirror.parse(given["base_mirror"]) if given["base_mirror"] else None
    builds = find_builds(dist, images)
    flags = settled_flags(click.get_current_context())
    with shown() as progress, RegistryClient(registry.options(place.host), progress) as client:
        work = Work(
            client=client,
            place=place,
            target=target_of(given, client, place, progress),
            mirror=mirror,
            tags=tags,
            known=known_builds(dist),
            manifests=not given["no_manifests"],
            workload=flags.pushed,
            options=PushOptions(given["force"], registry.concurrency, given["dry_run"]),
            progress=progress,
        )
        results = push_builds(work, builds)
    return _report(results, output_format, given["dry_run"])


def _report(results: list[Pushed], output_format: str, dry_run: bool) -> int:
    """Print how each ended; the exit code. What made all fail alike is raised as it is."""
    from imgctl.output import print_error, print_json

    failed = [item for item in results if item.error is not None]
    if len(failed) == len(results) and len({str(item.error) for item in failed}) == 1:
        assert failed[0].error is not None  # noqa: S101 - just chosen by it
        raise failed[0].error
    if output_format == "json":
        values = [_as_json(item, dry_run) for item in results]
        print_json(values[0] if len(values) == 1 else values)
    else:
        for record in (item.record for item in results if item.record is not None):
            click.echo(record.reference)
            click.echo(f"  {_summary(record, dry_run)}", err=True)
    for item in failed:
        if item.error is not None:
            click.echo(f"{item.build.record.name}:", err=True)
            print_error(item.error)
    if failed:
        done = len(results) - len(failed)
        click.echo(f"imgctl: {done} of {len(results)} pushed, {len(failed)} failed", err=True)
    codes = {item.error.exit_code for item in failed if item.error is not None}
    return codes.pop() if len(codes) == 1 else int(bool(codes))


def _as_json(item: Pushed, dry_run: bool) -> dict[str, Any]:
    if item.record is None:
        error = item.error or ImgctlError("not pushed")
        return {
            "image": item.build.image,
            "tag": item.build.tag,
            "error": {"what": error.what, "why": error.why, "hint": error.hint},
        }
    return {**item.record.to_json(), **({"dry_run": True} if dry_run else {})}


def _summary(record: PushRecord, dry_run: bool) -> str:
    """What a push moved, or would: one line."""
    from imgctl.progress import moved

    cost = f"{record.requests} request{'s' * (record.requests != 1)}"
    if record.unchanged:
        return f"already there, {cost}"
    line = moved(record.tally, would=dry_run)
    return line if dry_run else f"{line}, {cost}"
