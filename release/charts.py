"""Pictures for the release page, as SVG that says in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 720
_BAR = 44
_LEAST = 4.0  # a layer of a few kB beside one of GB is seen all the same
_PLOT = 200
_CHARACTER, _LONGEST = 7.5, 24  # a label's character's width, how many at most
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 44


@dataclass(frozen=True)
class Share:
    """A layer in the picture. size: bytes. kind: `base`, `ours`, or `unknown`."""

    label: str
    size: int
    kind: str


@dataclass(frozen=True)
class Point:
    """A release in the plot. size: bytes. base: what it stands on; another one is marked."""

    label: str
    size: int
    base: str


def layer_bar(shares: Sequence[Share], title: str, description: str) -> str:
    """The layers side by side, each as wide as it is large, but never invisible."""
    widths = _widths([share.size for share in shares])
    parts, x = [], 0.0
    for share, width in zip(shares, widths, strict=True):
        parts.append(
            f'<rect class="{share.kind}" x="{x:.1f}" y="0" width="{max(width - 1, 1):.1f}" '
            f'height="{_BAR}"><title>{escape(share.label)}</title></rect>'
        )
        x += width
    return _svg("".join(parts), WIDTH, _BAR, title, description)


def size_plot(points: Sequence[Point], title: str, description: str) -> str:
    """Sizes of releases in their order; a ring marks the first on a new base."""
    inner, height = WIDTH - _LEFT - _RIGHT, _PLOT - _TOP - _BOTTOM
    top = max((point.size for point in points), default=0) or 1
    step = inner / max(len(points) - 1, 1)
    places = [
        (_LEFT + number * step, _TOP + height * (1 - point.size / top))
        for number, point in enumerate(points)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    axis = f"{_LEFT},{_TOP} {_LEFT},{_TOP + height} {WIDTH - _RIGHT},{_TOP + height}"
    parts = [
        f'<polyline class="axis" points="{axis}"/>',
        f'<text x="{_LEFT - 8}" y="{_TOP + 10}" text-anchor="end">{escape(human(top))}</text>',
        f'<text x="{_LEFT - 8}" y="{_TOP + height}" text-anchor="end">0</text>',
        f'<polyline class="line" points="{line}"/>',
    ]
    before = None
    for point, (x, y) in zip(points, places, strict=True):
        label = escape(f"{point.label}: {human(point.size)} on {point.base}")
        ring = "ring" if before not in (None, point.base) else "dot"
        place = f'cx="{x:.1f}" cy="{y:.1f}" r="5"'
        parts.append(f'<circle class="{ring}" {place}><title>{label}</title></circle>')
        before = point.base
    parts += _labels([(point.label, x) for point, (x, _) in zip(points, places, strict=True)])
    return _svg("".join(parts), WIDTH, _PLOT, title, description)


def _labels(named: Sequence[tuple[str, float]]) -> list[str]:
    """Names under the plot: the newest, and of the others as many as do not touch."""
    parts: list[str] = []
    free = float(WIDTH)
    for name, x in reversed(named):
        text = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        width = len(text) * _CHARACTER
        middle = min(max(x, width / 2), WIDTH - width / 2)
        if middle + width / 2 > free:
            continue
        free = middle - width / 2 - _CHARACTER
        parts.append(
            f'<text x="{middle:.1f}" y="{_PLOT - 16}" text-anchor="middle">{escape(text)}</text>'
        )
    return parts


def human(size: float) -> str:
    """Bytes for a reader: `6.7 kB`, `5.8 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("GB is the last")


def _widths(sizes: Sequence[int]) -> list[float]:
    """What each gets of WIDTH: in proportion, once every one has the least."""
    free = WIDTH - _LEAST * len(sizes)
    total = sum(sizes) or 1
    return [_LEAST + free * size / total for size in sizes]


def _svg(content: str, width: int, height: int, title: str, description: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}. '
        f'{escape(description)}" xmlns="http://www.w3.org/2000/svg">{content}</svg>'
    )
