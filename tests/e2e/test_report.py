"""The release page in a real browser: nothing overflows, and axe finds no barrier."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from release.diff import Change
from release.report import Layer, Part, Report, Row, Signature, to_html
from tests.e2e.support.processes import tool
from tests.e2e.test_release import Team, git, team

__all__ = ["git", "team"]

PROBE = """
<script>{axe}</script>
<script>
addEventListener("load", () => axe.run(document, {{runOnly: ["wcag2a", "wcag2aa", "wcag21aa",
  "best-practice"]}}).then(done => parent.postMessage({{
    violations: done.violations.map(one => one.id + ": " + one.nodes.map(n => n.html).join(" ")),
    passes: done.passes.length,
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
  }}, "*")));
</script>
</body>
"""
# A window of Chromium is never narrower than 500 pixels; a frame is as narrow as a phone.
FRAME = """
<!doctype html><html lang="en" style="color-scheme: light dark"><title>frame</title>
<pre id="found"></pre>
<iframe src="{page}" style="border: 0; width: {width}px; height: 900px"></iframe>
<script>
addEventListener("message", event => {{
  document.getElementById("found").textContent = "FOUND" + JSON.stringify(event.data) + "END";
}});
</script></html>
"""


def look(page: Path, width: int, *, dark: bool) -> dict[str, Any]:
    """Open a page in Chromium with axe in it; what both found."""
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    probed = page.with_name(f"{page.stem}-probed.html")
    # The page lets nothing run in it, axe neither.
    text, count = re.subn(r"<meta http-equiv=.Content-Security-Policy.*>\n", "", page.read_text())
    assert count == 1
    probed.write_text(text.replace("</body>", PROBE.format(axe=axe)))
    frame = page.with_name(f"{page.stem}-{width}-{dark}.html")
    frame.write_text(FRAME.format(page=probed.name, width=width))
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [
        tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={page.parent / 'profile'}", "--window-size=1400,1000", *scheme,
        "--virtual-time-budget=20000", "--dump-dom", frame.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    found = re.search(r"FOUND(\{.*?\})END", html.unescape(done.stdout), re.DOTALL)
    assert found, done.stderr[-2000:]
    value: dict[str, Any] = json.loads(found[1])
    return value


def check(page: Path, width: int, *, dark: bool) -> None:
    """Fail when a page has a barrier, or is wider than what it is looked at on."""
    found = look(page, width, dark=dark)
    assert found["violations"] == []
    assert found["passes"] > 10
    assert found["width"] == width
    assert found["overflow"] <= 0
    assert found["dark"] is dark


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
    check(page, 1280, dark=False)
    check(page, 360, dark=True)


def extreme() -> Report:
    """Long names everywhere, more releases than fit, and a signature that is not believed."""
    long = "a-name-that-nobody-would-give-" * 6
    digest = "sha256:" + "0" * 64
    reference = f"harbor.{'long-' * 9}example.com/{long}@{digest}"
    rows = [
        Row(f"1.{number}.0-{'rc.' * 12}1", digest, f"nvcr.io/{long}:{number // 7}", digest,
            10**9 + number * 10**8, signed=number % 2 == 0)
        for number in range(20)
    ]  # fmt: skip
    return Report(
        name=long, version="1.0.0-" + "rc." * 30 + "1", description=long * 3, reference=reference,
        digest=digest, l4t="r35.2.1", facts=(("Base", long), ("Digest", digest)),
        signature=Signature(f"not to be trusted: {reference} has no valid signature", "bad"),
        commands=(("Check it", f"imgctl verify {reference} \\\n  --key signing.pub"),),
        layers=(*(Layer(digest, 10**number, "base") for number in range(10)),
                Layer(digest, 1, "ours"), Layer(digest, 1, "unknown")),
        layers_told="12 layers", previous=long,
        changes=tuple(Change("file", long * 2, None, long) for _ in range(5)), changes_left_out=9,
        releases=tuple(rows), releases_left_out=5,
        contents=tuple(Part(long * 2, "package", long, long, "0" * 64) for _ in range(5)),
        contents_told="many", manifests=(("pod", f"image: {reference}\n"),), tool="1.0.0",
    )  # fmt: skip


def test_a_page_of_extremes_is_readable_too(tmp_path: Path) -> None:
    page = tmp_path / "extreme.html"
    page.write_text(to_html(extreme()))
    check(page, 1280, dark=True)
    check(page, 360, dark=False)


def test_a_page_of_almost_nothing_is_readable_too(tmp_path: Path) -> None:
    page = tmp_path / "empty.html"
    names = ("facts", "layers", "releases", "contents", "manifests", "commands")
    nothing: dict[str, Any] = {
        **dict.fromkeys(names, ()),
        "description": "",
        "l4t": "",
        "changes": None,
        "signature": Signature("not signed"),
    }
    page.write_text(to_html(replace(extreme(), **nothing)))
    check(page, 360, dark=False)
