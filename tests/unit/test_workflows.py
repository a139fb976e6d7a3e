"""GitHub's files: valid, pinned, with the least permissions; and what they run exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from release.scaffold import NewRepository, files_of

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTION = ROOT / "action.yml"


def tool(name: str) -> str:
    """A program of the development environment, beside this Python or where its packages are."""
    import sysconfig

    places = [BIN, Path(sysconfig.get_path("scripts"))]
    places += [Path(path).parents[2] / "bin" for path in sys.path if path.endswith("site-packages")]
    return str(next(place / name for place in places if (place / name).exists()))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_follow_githubs_schema(path: Path) -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path))


def test_the_action_follows_githubs_schema() -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.github-actions", str(ACTION))


def test_no_auditor_has_anything_to_say() -> None:
    run(tool("zizmor"), "--offline", "--quiet", str(ROOT / ".github"), str(ACTION))


def test_what_init_writes_is_a_workflow(tmp_path: Path) -> None:
    pinned = "o/r/.github/workflows/release-image.yml@" + "a" * 40
    new = NewRepository("detector", "harbor.example", "edge", "r35.2.1", pinned)
    path = tmp_path / ".github/workflows/release.yml"
    path.parent.mkdir(parents=True)
    path.write_text(files_of(new)[".github/workflows/release.yml"])
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path))
    run(tool("zizmor"), "--offline", "--quiet", str(path))


def test_the_readmes_workflow_of_ten_lines_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(on: .*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(text.splitlines()) <= 10
    path = tmp_path / "release.yml"
    path.write_text(text)
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path))
    given = yaml.safe_load(text)["jobs"]["release"]
    called = yaml.safe_load((ROOT / ".github/workflows/release-image.yml").read_text())
    known = called[True]["workflow_call"]  # YAML 1.1 reads `on` as true
    assert set(given["with"]) <= set(known["inputs"])
    assert set(given["secrets"]) == set(known["secrets"])


def test_ci_runs_what_a_contributor_runs() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    commands = [step.get("run") for job in jobs.values() for step in job["steps"]]
    assert {"make test", "make demo", "make e2e"} <= set(commands)


def test_every_option_the_action_gives_is_one_of_release() -> None:
    from imgctl.commands.release import command

    known = {flag for item in command.params for flag in item.opts}
    script = (ROOT / "scripts/release.sh").read_text()
    given = {word for word in script.split() if word.startswith("--")}
    assert given
    assert given <= known
