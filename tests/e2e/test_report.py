"""The release page in a real browser: nothing overflows, and axe finds no barrier."""

from __future__ import annotations

import html
import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support.processes import tool
from tests.e2e.test_release import Team, git, team

__all__ = ["git", "team"]

PROBE = """
<script>{axe}</script>
<pre id="found"></pre>
<script>
addEventListener("load", () => axe.run(document, {{runOnly: ["wcag2a", "wcag2aa", "wcag21aa",
  "best-practice"]}}).then(done => {{
  const found = {{
    violations: done.violations.map(one => one.id + ": " + one.nodes.map(n => n.html).join(" ")),
    passes: done.passes.length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
  }};
  document.getElementById("found").textContent = "FOUND" + JSON.stringify(found) + "END";
}}));
</script>
</body>
"""


def look(page: Path, width: int, *, dark: bool) -> dict[str, Any]:
    """Open a page in Chromium with axe in it; what both found."""
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    probed = page.with_name(f"probed-{width}-{dark}.html")
    probed.write_text(page.read_text().replace("</body>", PROBE.format(axe=axe)))
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [
        tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},900", *scheme,
        "--virtual-time-budget=20000", "--dump-dom", probed.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    found = re.search(r"FOUND(\{.*?\})END", html.unescape(done.stdout), re.DOTALL)
    assert found, done.stderr[-2000:]
    value: dict[str, Any] = json.loads(found[1])
    return value


@pytest.fixture
def page(team: Team, tmp_path: Path) -> Path:
    """The page of a second release."""
    team.run("release", "detector").check()
    script = team.folder / "images/detector/run.py"
    script.write_text(script.read_text() + "# changed\n")
    team.commit("second")
    team.run("release", "detector", "--bump", "minor").check()
    path = tmp_path / "release.html"
    team.run("report", "detector", "-o", str(path)).check()
    return path


def test_the_page_of_a_release_is_readable_by_everyone(page: Path) -> None:
    assert "Since 0.1.0" in page.read_text()
    for width, dark in ((1280, False), (390, False), (1000, True)):
        found = look(page, width, dark=dark)
        assert found["violations"] == []
        assert found["passes"] > 10
        assert found["overflow"] <= 0
        assert found["dark"] is dark
