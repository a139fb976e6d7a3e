"""`python -m bench`: make the measurements, keep the results, write the document."""

from __future__ import annotations

import compileall
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from bench import build, bulk, deliver, machine, many, pin, push, release, start_up
from bench.report import markdown
from bench.result import Kept, load, save
from bench.setting import Measurement, Setting

ROOT = Path(__file__).parent.parent
MEASUREMENTS = (
    Measurement("build", build.measure),
    Measurement("start-up", start_up.measure),
    Measurement("push", push.measure),
    Measurement("bulk", bulk.measure),
    Measurement("many", many.measure),
    Measurement("pin", pin.measure),
    Measurement("release", release.measure),
    Measurement("deliver", deliver.measure),
)
_ROOM = 10_000_000_000  # bytes: two images of 4 GB at a time, and a base
NAMES = [item.name for item in MEASUREMENTS]


@click.command()
@click.option("--only", "chosen", type=click.Choice(NAMES), multiple=True,
              help="This part alone; may be repeated. Other parts' results stay.")  # fmt: skip
@click.option("--quick", is_flag=True, help="Fewer and smaller runs, to see that all works.")
@click.option("--markdown", "document", type=click.Path(dir_okay=False, path_type=Path),
              help="Where the document goes, its results beside it as .json.  "
                   "[default: docs/benchmarks.md; with --quick a temporary file]")  # fmt: skip
@click.option("--work", type=click.Path(file_okay=False, path_type=Path),
              help="A folder with room for 10 GB.  "
                   "[default: in memory if there is enough, else a temporary one]")  # fmt: skip
def main(chosen: tuple[str, ...], quick: bool, document: Path | None, work: Path | None) -> None:
    """Measure imgctl side by side with its peers; exit 1 when a target is missed."""
    if document is None:
        scratch = Path(tempfile.gettempdir()) / "imgctl-benchmarks.md"
        document = scratch if quick else ROOT / "docs" / "benchmarks.md"
    results = document.with_suffix(".json")
    work = work or machine.roomy_folder(_ROOM)
    described = machine.describe(work)
    _compile()
    missed = 0
    for item in MEASUREMENTS:
        if chosen and item.name not in chosen:
            continue
        kept = _one(item, described, quick, work)
        # After each, so that an interrupted run keeps what it has; read again, for what others did.
        together = {**load(results), item.name: kept}
        save(results, together)
        document.write_text(markdown(together, NAMES))
        for target in kept.result.targets:
            missed += not target.met
            click.echo(f"{'met' if target.met else 'MISSED'}\t{target.what}\t"
                       f"{target.value:g} {target.unit} of {target.limit:g}")  # fmt: skip
    click.echo(document)
    sys.exit(1 if missed else 0)


def _compile() -> None:
    """Compile our packages, as pip does when it installs them."""
    for package in ("imgctl", "builder", "deploy", "registry", "release"):
        compileall.compile_dir(ROOT / package, quiet=1)


def _one(item: Measurement, described: dict[str, str], quick: bool, work: Path) -> Kept:
    def say(text: str) -> None:
        click.echo(f"{item.name}: {text}", err=True)

    folder = Path(tempfile.mkdtemp(prefix=f"imgctl-bench-{item.name}-", dir=work))
    began = time.monotonic()
    try:
        imgctl = str(Path(sys.executable).with_name("imgctl"))
        result = item.measure(Setting(imgctl, folder, quick, say))
    finally:
        shutil.rmtree(folder)
    seconds = time.monotonic() - began
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Kept(result, date, machine.commit(ROOT), seconds, described, quick)


if __name__ == "__main__":
    main()
