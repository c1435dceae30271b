import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from loadtest.__main__ import main
from loadtest.compare import render_comparison
from loadtest.page import render
from loadtest.plots import charts_of, distribution
from loadtest.record import ANSWERED, REFUSED, SCHEMA, RecordError, read_bench, read_record, write_whole
from loadtest.svg import Chart, Series, draw
from tests.support import ROOT, newest

KNEE = [
    {"rate": 40.0, "failed": 1.0, "holds": False},
    {"rate": 10.0, "p50": 1.0, "p95": 2.0, "p99": 3.0, "failed": 0.0, "holds": True},
    {"rate": 20.0, "p50": 1.0, "p95": 2.0, "p99": 8.0, "failed": 0.1, "holds": False},
    {"rate": 20.0, "p50": 1.0, "p95": 2.0, "p99": 10.0, "failed": 0.3, "holds": False},
]
BENCH = {
    "model": "cnn",
    "version": "0",
    "variant": "int8",
    "engine": "onnxruntime",
    "batch": 1,
    "calls": 1000,
} | {
    "p50": 0.2,
    "p95": 0.3,
    "p99": 0.4,
    "max": 1.0,
}


def loadtest(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loadtest", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def report(patient: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report of two runs."""
    folder = tmp_path_factory.mktemp("reports") / "first"
    bench = folder.parent / "bench.json"
    version = newest(ROOT / "artifacts" / "cnn").name
    row = {**BENCH, "version": version}
    bench.write_text(json.dumps({"facts": {"machine": "a <fast> one"}, "rows": [row]}), encoding="utf-8")
    load = ("--rate", "60", "--duration", "1s", "--scenario", "light", "--model", "cnn", "--slo", "p95=5s")
    kept = ("--repeats", "2", "--report", str(folder), "--bench", str(bench))
    done = loadtest("--url", patient, *load, *kept)
    assert done.returncode in {0, 1}, done.stdout + done.stderr  # a report tells either
    return folder


def test_page_loads_nothing_from_elsewhere(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"""<(?:script|link|img|iframe)|\b(?:src|href)=|url\(|@import""", page)


def test_page_has_every_chart(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    titles = [ET.fromstring(chart).attrib["aria-label"] for chart in charts]  # noqa: S314 - our own
    assert titles == ["Latency over time", "Distribution", "Throughput", "Errors"]


@pytest.mark.parametrize(
    "fact",
    [
        "measured",
        "machine",
        "CPUs of the service",
        "CPUs of the generator",
        "commit",
        "service",
        "settings",
        "client",
        "model",
        "scenario",
    ],
)
def test_facts_a_reader_needs_are_there(report: Path, fact: str) -> None:
    assert read_record(report)["facts"][fact]


def test_facts_name_model_variant_and_mix(report: Path) -> None:
    facts = read_record(report)["facts"]
    assert re.match(r"cnn version \w+, (fp32|int8) by \w+, accuracy", facts["model"])
    assert "90% PNG of 32x32" in facts["scenario"]
    assert "ONNX Runtime" in facts["service"]


def test_json_has_every_single_time_of_each_run_finer_than_a_millisecond(report: Path) -> None:
    runs = read_record(report)["runs"]
    assert [run["n"] for run in runs] == [60, 60]
    assert all(len(run["requests"]["ms"]) == 60 for run in runs)
    assert any(milliseconds % 1 for run in runs for milliseconds in run["requests"]["ms"])


def test_spread_is_least_median_and_most_of_the_runs(report: Path) -> None:
    record = read_record(report)
    p95 = sorted(run["summaries"][-1]["p95"] for run in record["runs"])
    assert record["spread"]["p95"] == [p95[0], pytest.approx(sum(p95) / 2), p95[1]]


def test_cost_of_http_is_shown_beside_the_model_alone(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "The model alone, in process" in page
    assert ("and the model alone 0.20 ms" in page) == (
        "int8 by onnxruntime" in read_record(report)["facts"]["model"]
    )
    assert "machine: a &lt;fast&gt; one" in page


def test_cost_of_http_is_not_told_from_another_version_of_the_model(report: Path) -> None:
    record = read_record(report)
    page = render({**record, "bench": {"facts": {}, "rows": [{**BENCH, "version": "0"}]}})
    assert "The model alone, in process" in page
    assert "and the model alone" not in page


def test_page_is_well_formed_and_shows_what_a_service_says_as_text(report: Path) -> None:
    record = read_record(report)
    run = {**record["runs"][0], "errors": {"<script>alert(1)</script>": 3}}
    page = render({**record, "runs": [run], "verdict": ["FAILED: <b>"]})
    assert "<script" not in page
    checker = Tags()
    checker.feed(page)
    assert checker.open == []


class Tags(HTMLParser):
    """Sees that each element is closed by its own tag."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the base's
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_knee_is_drawn_from_the_median_at_each_rate_with_failures_beside(report: Path) -> None:
    knee, failures, *_ = charts_of({**read_record(report), "knee": KNEE})
    assert [series.name for series in knee.series] == ["p50", "p95", "p99"]
    assert knee.series[2].points == [(10.0, 3.0), (20.0, 9.0)]
    assert failures.series[0].points == [(10.0, 0.0), (20.0, pytest.approx(20)), (40.0, 100.0)]


def test_two_reports_are_set_side_by_side(report: Path, tmp_path: Path) -> None:
    assert main(["--compare", str(report), str(report / "report.json"), "--report", str(tmp_path)]) == 0
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "+0.0%" in page
    assert page.count("Latency over time") == 4  # as a name and as a title, of each
    assert " of 120" in page
    assert "Not like for like" not in page


def test_what_two_reports_differ_in_is_told(report: Path) -> None:
    first = read_record(report)
    (run, *_) = first["runs"]
    slower = {**first, "runs": [{**run, "offered_rate": 10}], "facts": {**first["facts"], "machine": "other"}}
    page = render_comparison(first, slower, ("a", "b"))
    assert "Not like for like, they differ in: machine, rate." in page


def test_distribution_of_two_has_a_line_for_each_run(report: Path) -> None:
    record = read_record(report)
    chart = distribution([("a", record), ("b", record)])
    assert [series.name for series in chart.series] == ["a 1", "a 2", "b 1", "b 2"]


def test_what_is_no_report_is_refused(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--compare", str(report), str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"{str(tmp_path)!r} holds no report: give a folder that --report wrote" in said


@pytest.mark.parametrize("text", ['{"schema": 0}', f'{{"schema": {SCHEMA}}}', "[]"])
def test_report_of_another_version_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match="no report of this version"):
        read_record(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"facts": {}, "rows": [{"model": "cnn"}]}', "[]", '{"rows": 1}'])
def test_what_is_no_bench_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match="run 'make bench' again"):
        read_bench(tmp_path / "bench.json")


def test_report_that_can_not_be_written_is_a_sentence_and_leaves_what_was_there(tmp_path: Path) -> None:
    """/dev/full is a disk without room."""
    file = tmp_path / "report.html"
    write_whole(file, "before")
    (tmp_path / ".report.html.part").symlink_to("/dev/full")
    with pytest.raises(RecordError, match=r"report\.html' can't be written: No space left on device"):
        write_whole(file, "after")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert file.read_text(encoding="utf-8") == "before"


def test_slowest_request_is_in_the_distribution_and_refused_ones_are_not() -> None:
    times, outcome = [float(ms) for ms in range(1, 1001)], [ANSWERED] * 999 + [REFUSED]
    requests = {"due_s": [0.0] * 1000, "ms": times, "kind": [0] * 1000, "outcome": outcome}
    record = {"runs": [{"requests": requests, "kinds": ["png"]}], "objective": {"slos": []}}
    ((place, slowest),) = distribution([("run", record)]).series[0].points[-1:]
    assert place == pytest.approx(math.log10(999))
    assert slowest == 999


@pytest.mark.parametrize("points", [[(0.0, 1.0)], [(0.0, 0.0), (1.0, 0.0)], [(5.0, 3.0), (5.0, 4.0)]])
@pytest.mark.parametrize("log_y", [False, True])
def test_flat_and_single_points_can_be_drawn(points: list[tuple[float, float]], log_y: bool) -> None:
    drawn = draw(Chart("A & B", "x", "y", [Series("s", points)], log_y=log_y))
    assert ET.fromstring(drawn).attrib["aria-label"] == "A & B"  # noqa: S314 - our own
