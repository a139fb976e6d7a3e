"""A new image repository: a definition, settings, and the workflow that releases it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.errors import BadInput, ImgctlError
from registry.reference import check_host, check_repository

TEMPLATES = Path(__file__).parent / "data" / "init"
_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_WORKFLOW = re.compile(r"[\w.-]+/[\w.-]+(?:/[\w./-]+)?@[\w./-]+|\./[\w./-]+")


@dataclass(frozen=True)
class NewRepository:
    """What the files are filled with. workflow: the reusable workflow, `OWNER/REPO/PATH@REF`."""

    name: str
    harbor: str
    project: str
    l4t: str
    workflow: str

    def values(self) -> Mapping[str, str]:
        """The fields for templates; raises BadInput for what could not be built or pushed."""
        if not _NAME.fullmatch(self.name) or len(self.name) > 63:
            hint = "lower-case letters and digits, joined by '-', '.' or '_'"
            raise BadInput(f"an image cannot be called {self.name!r:.80}", "", hint)
        check_host(self.harbor)
        check_repository(f"{self.project}/{self.name}")
        if not _WORKFLOW.fullmatch(self.workflow):
            hint = "write OWNER/REPO/.github/workflows/FILE.yml@REF"
            raise BadInput(f"{self.workflow!r:.80} names no workflow", "", hint)
        return {
            "name": self.name,
            "harbor": self.harbor,
            "project": self.project,
            "l4t": self.l4t,
            "workflow": self.workflow,
        }


def files_of(new: NewRepository) -> dict[str, str]:
    """Every file of the new repository, by its path in it."""
    import jinja2

    values = new.values()
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, Markdown and Python, filled with checked names
    )
    found = {}
    for path in sorted(TEMPLATES.rglob("*")):
        # pip compiles what looks like a module, templates too.
        if path.is_file() and path.parent.name != "__pycache__":
            text = environment.from_string(path.read_text(encoding="utf-8")).render(values)
            place = path.relative_to(TEMPLATES).as_posix().replace("NAME", new.name)
            found[".gitignore" if place == "gitignore" else place] = text
    return found


def write_repository(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write the files below a folder; nothing is written when one of them is there already."""
    there = [name for name in files if (folder / name).exists()]
    if there:
        hint = "choose another folder, or move it away"
        raise BadInput(f"{folder / there[0]} is there already", "nothing was written", hint)
    written = []
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        why = (error.strerror or str(error)).lower()
        raise ImgctlError(f"cannot write into {folder}", why, "choose another folder") from error
    return written
