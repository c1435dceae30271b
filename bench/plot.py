"""Figures in, a drawing of them out."""

from collections.abc import Sequence

from bench.figures import Service
from bench.service import BATCH
from loadtest.svg import Chart, Series, draw_alone


def plot(services: Sequence[Service]) -> str:
    """Answers a second by the number of connections, a line for each model and kind of request: SVG."""
    series = [
        Series(f"{service.model}, {kind}", points, dots=True)
        for service in services
        for kind, points in _lines(service).items()
    ]
    counts = sorted({x for one in series for x, _ in one.points})
    places = {count: float(place) for place, count in enumerate(counts)}
    placed = [Series(one.name, [(places[x], y) for x, y in one.points], dots=True) for one in series]
    ticks = [(place, f"{count:g}") for count, place in places.items()]
    title = "Answers a second, without a pause between calls"
    return draw_alone(Chart(title, "connections", "answers/s", placed, x_ticks=ticks))


def _lines(service: Service) -> dict[str, list[tuple[float, float]]]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in service.closed:
        if one.kind != BATCH:
            lines.setdefault(one.kind, []).append((one.connections, one.median("rate")))
    return lines
