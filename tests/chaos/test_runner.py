"""What the runner makes of experiments that end in each way."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.experiment import Experiment, Outcome, Skipped, Verdict
from chaos.lab import Lab
from chaos.report import write_report
from chaos.runner import run_all, status_of
from chaos.table import to_markdown, to_text
from loadtest.address import ServerError
from loadtest.svg import Chart, Series


def hold(_lab: Lab, extent: int) -> Outcome:
    chart = Chart("Times", "s", "ms", [Series("p50", [(1, 2.5), (2, 2.4)])])
    return Outcome({"done": f"{extent} times"}, [], [chart], [("second", "ms"), (1, 2.5)])


def fail(_lab: Lab, _extent: int) -> Outcome:
    return Outcome({"lost": "1"}, ["1 request was lost"])


def skip(_lab: Lab, _extent: int) -> Outcome:
    raise Skipped("needs a second CPU")


def stumble(_lab: Lab, _extent: int) -> Outcome:
    raise ServerError("the service did not start")


def experiment(run: Callable[[Lab, int], Outcome]) -> Experiment:
    return Experiment(run.__name__, "{extent} things", "nothing | is lost", 10, 1000, run)


@pytest.mark.parametrize(
    ("runs", "status"),
    [((hold, skip), 0), ((hold, fail), 1), ((hold, stumble), 2), ((stumble, fail), 1)],
)
def test_status_is_that_of_the_worst(runs: tuple[Callable[[Lab, int], Outcome], ...], status: int) -> None:
    assert status_of(run_all([experiment(run) for run in runs], Lab())) == status


def test_extent_is_that_of_the_form_or_the_one_given() -> None:
    one = experiment(hold)
    assert run_all([one], Lab())[0].done == "10 things"
    assert run_all([one], Lab(), is_long=True)[0].done == "1,000 things"
    assert run_all([one], Lab(), is_long=True, extents={"hold": 7})[0].figures == "done 7 times"


def test_those_after_one_that_can_not_be_made_are_made() -> None:
    said: list[str] = []
    results = run_all([experiment(stumble), experiment(hold)], Lab(say=said.append))
    assert [result.verdict for result in results] == [Verdict.BROKEN, Verdict.PASSED]
    assert said[1] == "stumble: not run after 0 s: the service did not start"


def test_tables_and_report_have_every_experiment(tmp_path: Path) -> None:
    results = run_all([experiment(run) for run in (hold, fail, skip, stumble)], Lab())
    facts = {"machine": "a small one"}
    text, markdown = to_text(results), to_markdown(results, facts)
    assert "BROKEN: 1 request was lost" in text
    assert "| skip | 10 things | needs a second CPU | nothing / is lost | skipped |" in markdown
    assert write_report(tmp_path, results, facts) == tmp_path / "chaos.html"
    kept = json.loads((tmp_path / "chaos.json").read_text())
    assert [one["verdict"] for one in kept["experiments"]] == ["passed", "failed", "skipped", "not run"]
    assert (tmp_path / "hold.csv").read_text() == "second,ms\n1,2.5\n"
    assert "xmlns=" in (tmp_path / "hold-1.svg").read_text()
    assert markdown in (tmp_path / "chaos.md").read_text()
    assert "1 request was lost" in (tmp_path / "chaos.html").read_text()
