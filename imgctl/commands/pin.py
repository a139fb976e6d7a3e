"""`imgctl pin`: every image in existing YAML by digest, and a lock file that says which."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.output import print_json
from registry.errors import BadInput

if TYPE_CHECKING:
    from deploy.pin.check import Problem
    from deploy.pin.files import Source
    from deploy.pin.plan import Ask, Replacement, Wishes
    from deploy.pin.resolve import Answer
    from deploy.pin.run import Found, LockFile, Outcome
    from registry.reference import Reference

REFUSED = 3
STDIN = Path("-")
# A look-up is a few hundred bytes: several take the place of one blob.
_LOOKUPS_PER_BLOB = 4


@dataclass(frozen=True)
class _Flags:
    """What is to be done, as the command line says it."""

    dry_run: bool | None
    check: bool
    update: bool
    resolve: str
    platform: str
    lock: Path | None
    no_lock: bool
    prune: bool
    image: tuple[str, ...]
    image_path: tuple[str, ...]
    skip: tuple[str, ...]
    exclude: tuple[str, ...]
    drop_tag: bool
    offline: bool
    dist: Path


@click.command(name="pin")
@click.argument("files", metavar="FILE|DIR|-...", nargs=-1, required=True,
                type=click.Path(path_type=Path, allow_dash=True))  # fmt: skip
@click.option("--dry-run/--write", default=None,
              help="Show the diff and write nothing, or write, which is the default.")  # fmt: skip
@click.option("--check", is_flag=True, help="Write nothing; exit 3 if anything is not pinned, or"
              " files and lock differ.")  # fmt: skip
@click.option("--update", is_flag=True, help="Look tags up anew instead of taking the lock's word.")
@click.option("--resolve", type=click.Choice(["platform", "index"]), default="platform",
              show_default=True, help="Pin one platform's manifest, or the index.")  # fmt: skip
@click.option("--platform", default="linux/arm64", show_default=True, help="What to pin for.")
@click.option("--lock", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The lock file.  [default: imgctl.lock.yaml]")  # fmt: skip
@click.option("--no-lock", is_flag=True, help="Keep no lock file.")
@click.option("--prune", is_flag=True, help="Drop from the lock what these files do not name.")
@click.option("--image", multiple=True, metavar="[NAME=]RECORD|REFERENCE",
              help="Put an image of ours where NAME is: push.json, an image in dist/, dist/"
              " itself, or REPOSITORY@sha256:… .")  # fmt: skip
@click.option("--image-path", multiple=True, metavar="KIND:PATH",
              help="Where else a kind names images, as Run:spec.steps[*].image.")  # fmt: skip
@click.option("--skip", multiple=True, metavar="PATTERN", help="Leave such images alone.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave such files alone.")
@click.option("--drop-tag", is_flag=True, help="Write NAME@sha256:… without the tag.")
@click.option("--offline", is_flag=True, help="Ask no registry: the lock must know every tag.")
@click.option("--dist", type=click.Path(path_type=Path), default=Path("dist"), show_default=True,
              help="Where builds are, for --image.")  # fmt: skip
@registry_options
@format_option
def command(
    files: tuple[Path, ...], registry: RegistryFlags, output_format: str, **options: Any
) -> int:
    """Pin every image in existing YAML to its digest.

    Reads Kubernetes objects of every kind that runs containers, wherever they are: in lists, in
    other objects, as YAML or JSON in a ConfigMap. Only the images' own characters change:
    comments, quotes, anchors and line ends stay. With - it pins stdin to stdout.
    """
    flags = _Flags(**options)
    if flags.check and flags.dry_run is False:
        raise BadInput("--check and --write exclude each other")
    from deploy.pin.rules import ImagePath, rules
    from deploy.pin.run import find

    found = find(_sources(files, flags), rules(map(ImagePath.parse, flags.image_path)))
    for path, note in found.notes:
        click.echo(f"note: {path}:{note.line}: {note.message}", err=True)
    lock = _lock(flags)
    if flags.check:
        return _check(found, lock, flags, registry, output_format)
    done = _outcome(found, lock, flags, registry)
    _warn_unused(done.plan.unused)
    if output_format == "json":
        print_json(_json(done))
    elif STDIN in files:
        _to_stdout(found, done)
    else:
        _print_diff(done)
    if flags.dry_run or STDIN in files:
        return 0
    from deploy.pin.files import write_all

    write_all(done.changes)
    for change in done.changes:
        click.echo(f"{change.path} written", err=True)
    return 0


def _sources(files: Sequence[Path], flags: _Flags) -> list[Source]:
    from deploy.pin.files import Source, read_source, yaml_files

    if STDIN in files:
        if len(files) > 1:
            raise BadInput("- stands alone: stdin is pinned to stdout")
        try:
            return [Source(STDIN, sys.stdin.buffer.read().decode("utf-8"))]
        except UnicodeDecodeError as error:
            raise BadInput("stdin is not UTF-8 text", str(error)) from error
    lock = _lock_path(flags)
    if not flags.no_lock and not lock.parent.is_dir():
        raise BadInput(f"the folder of {lock} is not there", "", "make it, or name another --lock")
    own = lock.resolve()
    paths = [path for path in yaml_files(files, flags.exclude) if path.resolve() != own]
    return [read_source(path) for path in paths]


def _lock_path(flags: _Flags) -> Path:
    from deploy.pin.lock import FILE_NAME

    return flags.lock or Path(FILE_NAME)


def _lock(flags: _Flags) -> LockFile | None:
    from deploy.pin.run import open_lock

    return None if flags.no_lock else open_lock(_lock_path(flags))


def _wishes(flags: _Flags) -> Wishes:
    from datetime import UTC, datetime

    from deploy.pin.ours import replacements
    from deploy.pin.plan import Wishes
    from registry.oci import Platform

    return Wishes(
        now=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        platform=Platform.parse(flags.platform) if flags.resolve == "platform" else None,
        update=flags.update,
        prune=flags.prune,
        drop_tag=flags.drop_tag,
        offline=flags.offline,
        skip=flags.skip,
        replacements=replacements(flags.image, flags.dist),
    )


def _outcome(
    found: Found, lock: LockFile | None, flags: _Flags, registry: RegistryFlags
) -> Outcome:
    from deploy.pin.run import outcome

    wishes = _wishes(flags)
    return outcome(found, lock, wishes, _asker(wishes, registry))


def _asker(wishes: Wishes, registry: RegistryFlags) -> Ask:
    def ask(images: Sequence[Reference]) -> Mapping[Reference, Answer]:
        if not images:
            return {}
        from deploy.pin.resolve import look_up
        from registry.client import RegistryClient

        hosts = {image.host for image in images}
        with RegistryClient(registry.options(hosts.pop() if len(hosts) == 1 else None)) as client:
            at_once = registry.concurrency * _LOOKUPS_PER_BLOB
            return look_up(client, images, wishes.platform, at_once)

    return ask


def _check(
    found: Found,
    lock: LockFile | None,
    flags: _Flags,
    registry: RegistryFlags,
    output_format: str,
) -> int:
    """Print what is wrong, one line each; with --update, tags that moved as well."""
    from deploy.pin.check import Problem, problems, stale, unused
    from deploy.pin.plan import is_skipped

    wrong = problems(found.places, flags.skip)
    # What goes through a pipe is not what a lock is kept for.
    piped = STDIN in found.sources and lock is not None and lock.text is None
    if lock is not None and not piped:
        wrong += stale(found.places, lock.images, lock.path, flags.skip)
        if flags.prune:
            wrong += unused(found.places, lock.images, lock.path, flags.skip)
    if not wrong and (flags.update or flags.image or not flags.offline):
        done = _outcome(found, lock, flags, registry)
        _warn_unused(done.plan.unused)
        wrong = [
            Problem(str(pin.place), pin.place.field.image, f"is now {pin.after}")
            for pin in done.plan.pins
            if pin.changed
        ]
    skipped = sum(is_skipped(place.field.image, flags.skip) for place in found.places)
    _print_problems(wrong, len(found.places), skipped, output_format)
    return REFUSED if wrong else 0


def _print_problems(
    wrong: Sequence[Problem], images: int, skipped: int, output_format: str
) -> None:
    if output_format == "json":
        print_json([vars(problem) for problem in wrong])
        return
    for problem in wrong:
        click.echo(str(problem))
    if wrong:
        click.echo("run `imgctl pin` on the same files", err=True)
    else:
        fate = f"{skipped} left alone, the others pinned" if skipped else "all pinned"
        click.echo(f"{images} image field{'s' * (images != 1)}, {fate}", err=True)


def _warn_unused(unused: Sequence[Replacement]) -> None:
    for item in unused:
        click.echo(f"warning: {item.image} is used nowhere: no field names {item.name}", err=True)


def _to_stdout(found: Found, done: Outcome) -> None:
    text = found.sources[STDIN].text
    for change in done.changes:
        if change.path == STDIN:
            text = change.after
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


def _print_diff(done: Outcome) -> None:
    from deploy.pin.edit import diff, holds_secrets

    pins = done.plan.pins
    for change in done.changes:
        if not holds_secrets(change):
            click.echo(diff(change), nl=False)
            continue
        for pin in pins:
            if pin.place.path == change.path and pin.changed:
                click.echo(f"{pin.place}: {pin.place.field.image} -> {pin.after}")
    changed, skipped = (sum(pin.changed for pin in pins), sum(pin.how == "skipped" for pin in pins))
    left = f", {skipped} left alone" if skipped else ""
    fields = f"{len(pins)} image field{'s' * (len(pins) != 1)}"
    click.echo(f"{fields}, {changed} to pin{left}", err=True)


def _json(done: Outcome) -> dict[str, Any]:
    return {
        "images": [
            {
                "file": str(pin.place.path),
                "line": pin.place.field.line,
                "kind": pin.place.field.kind,
                "name": pin.place.field.name,
                "path": pin.place.field.path,
                "image": pin.place.field.image,
                "pinned": pin.after,
                "how": pin.how,
            }
            for pin in done.plan.pins
        ],
        "unused": [str(item.image) for item in done.plan.unused],
        "changed": [str(change.path) for change in done.changes],
    }
