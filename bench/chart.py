"""Line charts as SVG, without a plotting library.

Example:
    ```python
    panel = Panel("Search", "memories", "p50 ms", [Line("one user", [(1_000, 2.1), (10_000, 2.4)])])
    Path("growth.svg").write_text(chart("Growth", [panel]))
    ```
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import msgspec

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")
"""Okabe and Ito's, which people with any sight tell apart; markers differ too."""
WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 66, 46
LEGEND_LINE = 17
INK, GRID = "#333333", "#dddddd"


class Line(msgspec.Struct, frozen=True):
    """A line with its points (x, y), all above zero."""

    label: str
    points: Sequence[tuple[float, float]]


class Panel(msgspec.Struct, frozen=True):
    """One pair of axes, both logarithmic, and its lines: one at least, at most as many as there are colours."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]


class Axis:
    """A logarithmic axis from `begin` to `end` pixels that holds all `values`.

    It spans a power of ten at least, so that small differences do not look like large ones.

    Attributes:
        ticks: Where it has labels: powers of ten, with 2 and 5 of each where the values span less than two powers.
    """

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        low, high = min(values), max(values)
        if low <= 0:
            raise ValueError("A logarithmic axis has no place for values of zero or less.")
        steps = (1, 2, 5) if high / low < 100 else (1,)
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
        marks = [step * 10.0**power for power in range(first - 1, last + 1) for step in steps]
        self._high = min(mark for mark in marks if mark >= high)
        self._low = max(mark for mark in marks if mark <= min(low, self._high / 10))
        self._begin, self._end = begin, end
        self.ticks = [mark for mark in marks if self._low <= mark <= self._high]

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = math.log(value / self._low) / math.log(self._high / self._low)
        return self._begin + share * (self._end - self._begin)


def tick_label(value: float) -> str:
    """A short number: 0.5, 20, 10k, 1M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def chart(title: str, panels: Sequence[Panel]) -> str:
    """The panels side by side, each with its legend below its title's line."""
    rows = max(len(panel.lines) for panel in panels)
    top = TOP + LEGEND_LINE * rows
    width, height = WIDTH * len(panels), top + HEIGHT - TOP + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}" font-family="Helvetica, Arial, DejaVu Sans, sans-serif">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(16, 26, title, size=16, weight="bold"),
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, WIDTH * number, top, height)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, left: int, top: int, height: int) -> list[str]:
    points = [point for line in panel.lines for point in line.points]
    x = Axis([value for value, _ in points], left + LEFT, left + WIDTH - RIGHT)
    y = Axis([value for _, value in points], height - BOTTOM, top)
    parts = [_text(left + 16, 52, panel.title, size=13, weight="bold")]
    for tick in x.ticks:
        parts.append(_segment(x.at(tick), top, x.at(tick), height - BOTTOM, GRID))
        parts.append(_text(x.at(tick), height - BOTTOM + 16, tick_label(tick), anchor="middle"))
    for tick in y.ticks:
        parts.append(_segment(left + LEFT, y.at(tick), left + WIDTH - RIGHT, y.at(tick), GRID))
        parts.append(_text(left + LEFT - 6, y.at(tick) + 4, tick_label(tick), anchor="end"))
    parts.append(_segment(left + LEFT, height - BOTTOM, left + WIDTH - RIGHT, height - BOTTOM, INK))
    parts.append(_segment(left + LEFT, top, left + LEFT, height - BOTTOM, INK))
    parts.append(_text(left + (LEFT + WIDTH - RIGHT) / 2, height - 10, panel.x_label, anchor="middle"))
    middle = (top + height - BOTTOM) / 2
    turned = f' transform="rotate(-90 {left + 14} {middle:.1f})"'
    parts.append(_text(left + 14, middle, panel.y_label, anchor="middle", more=turned))
    for number, line in enumerate(panel.lines):
        colour = COLOURS[number]
        places = [(x.at(first), y.at(second)) for first, second in line.points]
        path = " ".join(f"{first:.1f},{second:.1f}" for first, second in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [_marker(number, first, second) for first, second in places]
        row = 52 + LEGEND_LINE * (number + 1)
        parts.append(_segment(left + 16, row - 4, left + 36, row - 4, colour, 2))
        parts += [_marker(number, left + 26, row - 4), _text(left + 42, row, line.label)]
    return parts


def _segment(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _marker(number: int, x: float, y: float) -> str:
    """Circle, square, triangle, diamond, ring: each line has its own."""
    colour = COLOURS[number]
    if number in (0, 4):
        fill = colour if number == 0 else "#ffffff"
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'
    corners = {
        1: ((-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)),
        2: ((0, -4.5), (4.5, 3.5), (-4.5, 3.5)),
        3: ((0, -5), (5, 0), (0, 5), (-5, 0)),
    }[number]
    points = " ".join(f"{x + right:.1f},{y + down:.1f}" for right, down in corners)
    return f'<polygon points="{points}" fill="{colour}"/>'


def _text(
    x: float, y: float, text: str, *, size: int = 11, anchor: str = "start", weight: str = "normal", more: str = ""
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{INK}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}{more}>{escape(text)}</text>'
