"""Series of numbers in, a chart as SVG out, which needs nothing from elsewhere."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 46
STYLE = """
svg text { font: 11px system-ui, sans-serif; fill: #333; }
svg text.title { font-size: 14px; font-weight: 600; } .grid { stroke: #e5e5e5; }
.limit { stroke: #b00020; stroke-dasharray: 6 4; } svg text.limit-name { fill: #b00020; }
"""
# Told apart by people who see colours differently (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points in the order of their x; `dots` marks each."""

    name: str
    points: Sequence[Point]
    dots: bool = False


@dataclass(frozen=True)
class Chart:
    """What to draw. `limits` are horizontal lines with names; `x_ticks` name places instead of numbers."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    limits: Sequence[tuple[str, float]] = ()
    x_ticks: Sequence[tuple[float, str]] = field(default=())
    log_y: bool = False


def draw(chart: Chart) -> str:
    """The chart as one <svg> element."""
    points = [point for series in chart.series for point in series.points]
    if not points:
        return ""
    xs = [x for x, _ in points]
    ys = [y for _, y in points] + [value for _, value in chart.limits]
    x_low, x_high = min(xs), max(xs)
    low, high = _bounds(ys, log=chart.log_y)
    place_x = _scale(x_low, x_high, _LEFT, WIDTH - _RIGHT, log=False)
    place_y = _scale(low, high, HEIGHT - _BOTTOM, _TOP, log=chart.log_y)
    ticks = chart.x_ticks or [(value, f"{value:g}") for value in _ticks(x_low, x_high)]
    y_ticks = _log_ticks(low, high) if chart.log_y else _ticks(low, high)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">',
        _text(WIDTH / 2, 16, chart.title, "middle", "title"),
        _text(WIDTH / 2, HEIGHT - 6, chart.x_label, "middle"),
        f'<g transform="rotate(-90)">{_text(-HEIGHT / 2, 14, chart.y_label, "middle")}</g>',
        *(_grid_line(place_y(value), f"{value:g}") for value in y_ticks),
        *(_text(place_x(value), HEIGHT - _BOTTOM + 16, label, "middle") for value, label in ticks),
        *(_limit(place_y(value), name) for name, value in chart.limits),
        *(
            _line(series, COLOURS[index % len(COLOURS)], place_x, place_y)
            for index, series in enumerate(chart.series)
        ),
        _legend(chart.series),
        "</svg>",
    ]
    return "\n".join(parts)


def draw_alone(chart: Chart) -> str:
    """The chart as a whole SVG file, with the looks that it has in a report."""
    size = f'xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
    style = f"<style>svg {{ background: #fff; }}{STYLE}</style>"
    return draw(chart).replace("<svg ", f"<svg {size} ", 1).replace(">", f">{style}", 1) + "\n"


def _bounds(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    if log:
        positive = [value for value in values if value > 0] or [1.0]
        return 10 ** math.floor(math.log10(min(positive))), 1.1 * max(positive)
    return 0.0, 1.05 * max(values) or 1.0


def _scale(low: float, high: float, start: float, end: float, *, log: bool) -> Callable[[float], float]:
    def place(value: float) -> float:
        if log:
            share = math.log(max(value, low) / low) / math.log(high / low)
        else:
            share = (value - low) / (high - low) if high > low else 0.5
        return start + share * (end - start)

    return place


def _ticks(low: float, high: float) -> list[float]:
    """Four to nine round numbers."""
    span = high - low or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 8)
    first = math.ceil(low / step)
    return [round(index * step, 10) for index in range(first, math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [value for value in values if low <= value <= high]


def _text(x: float, y: float, text: str, anchor: str, css_class: str = "label") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css_class}">{escape(text)}</text>'


def _grid_line(y: float, label: str) -> str:
    line = f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
    return line + _text(_LEFT - 6, y + 4, label, "end")


def _limit(y: float, name: str) -> str:
    line = f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="limit"/>'
    return line + _text(WIDTH - _RIGHT - 4, y - 4, name, "end", "limit-name")


def _line(
    series: Series, colour: str, place_x: Callable[[float], float], place_y: Callable[[float], float]
) -> str:
    placed = [(place_x(x), place_y(y)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    dots = (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed)
    return line + ("".join(dots) if series.dots else "")


def _legend(all_series: Sequence[Series]) -> str:
    parts, x = [], float(_LEFT)
    for index, series in enumerate(all_series):
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<rect x="{x:.1f}" y="22" width="10" height="4" fill="{colour}"/>')
        parts.append(_text(x + 14, 28, series.name, "start"))
        x += 26 + 6.5 * len(series.name)
    return "".join(parts)
