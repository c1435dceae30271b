"""What the pages for people say: commands work, links lead somewhere, tables are the code's."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.catalogue import EXPERIMENTS
from loadtest.table import BEGIN, END, SUMMARY_BEGIN
from service.settings_table import insert, settings_table
from tests.docs.answers import agree, cut, write
from tests.docs.markdown import Command, anchors, blocks, commands, links, pages, prose, rows
from tests.docs.ways import try_command
from tests.docs.world import World, make_world
from tests.support import ROOT
from tests.test_house import imports_in

README, SETTINGS, LOAD_TESTS = ROOT / "README.md", ROOT / "docs/settings.md", ROOT / "docs/load-tests.md"
CHAOS = ROOT / "docs/chaos.md"
COMMANDS = [command for page in pages() for command in commands(page)]


@pytest.fixture(scope="module")
def world(server: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    """What the commands get to work with."""
    return make_world(tmp_path_factory.mktemp("world"), server)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.place)
def test_command_works(command: Command, world: World, request: pytest.FixtureRequest) -> None:
    given = try_command(command, world)
    if command.answer is None:
        return
    shown = json.loads(command.answer.text)
    expected = cut(given, shown)
    if not agree(expected, shown) and request.config.getoption("--write-answers"):
        write(command.answer, expected)
    else:
        assert shown == expected or agree(expected, shown)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("make nothing", "No rule to make target"),
        ('make train ARGS="resnet --sise 32"', "unrecognized arguments: --sise 32"),
        ("make loadtest SCENARIO=calm", "invalid choice: 'calm'"),
        ("make export LIMITS=--max-ece=2", "'2' is no number from 0 to 1"),
        (".venv/dev/bin/python -m loadtest.capacity --slo p96=5ms", "p96=5ms"),
        (".venv/dev/bin/python -m export show artifacts/resnet/none", "there is no artifacts/resnet/none"),
        (".venv/dev/bin/torchrun --nproc-per-node 2 -m train cnn --seed x", "'x' is no whole number"),
        (".venv/dev/bin/locust -f loadtest/locustfile.py --rat 5 --rates 3", "unrecognized arguments"),
        ("curl localhost:8000/nowhere", "not_found"),
        ("curl localhost:8000/health  # 503", "uptime_seconds"),
        ("GLIMPSE_PORT=80000 make serve", "GLIMPSE_PORT=80000: "),
        ("frobnicate --all", "nobody has said how to try this"),
    ],
)
def test_command_that_does_not_work_is_found_out(text: str, says: str, world: World) -> None:
    with pytest.raises(Exception, match=re.escape(says)):
        try_command(Command(README, 1, text), world)


def test_answer_that_is_another_is_found_out() -> None:
    given = {"class": "cat", "confidence": 0.98, "more": [1, 2], "request_id": "b"}
    shown = {"class": "cat", "...": "...", "request_id": "a"}
    assert cut(given, shown) == shown
    for wrong in ({"class": "dog", "...": "..."}, {"klass": "cat", "...": "..."}, {"class": "cat"}):
        assert not agree(cut(given, wrong), wrong)
    assert not agree(cut([1, 2], [1]), [1])
    assert not agree(cut("data:text", "data:image..."), "data:image...")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for line, target in links(page):
        name, _, anchor = target.partition("#")
        if re.match(r"https?:|mailto:", target):
            continue
        file = (page.parent / name).resolve() if name else page
        if not file.exists():
            wrong.append(f"line {line}: there is no {target}")
        elif anchor and anchor not in anchors(file):
            wrong.append(f"line {line}: no heading of {file.name} is #{anchor}")
    assert not wrong


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [README]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        files = {(page.parent / target.partition("#")[0]).resolve() for _, target in links(page)}
        ahead += [file for file in files if file.suffix == ".md" and file.exists() and file not in reached]
    assert set(pages()) <= reached, "link them, best from the list at the end of README.md"


def test_targets_and_modules_in_the_text_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in pages():
        text = "\n".join(line for _, line in prose(page))
        assert set(re.findall(r"`make ([a-z-]+)\b", text)) <= targets, page
        for module in re.findall(r"`python -m ([\w.]+)", text):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), (page, module)


def test_settings_are_those_of_the_service() -> None:
    page = SETTINGS.read_text(encoding="utf-8")
    assert insert(page, settings_table()) == page, (
        "write them anew: python -m service.settings_table --into docs/settings.md"
    )


def test_scenarios_have_their_place_and_the_readme_has_their_rates() -> None:
    page = LOAD_TESTS.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    (head,) = (line for line in page.splitlines() if line.startswith("| model | scenario |"))
    holds = {(model, scenario): rate for model, scenario, rate, *_ in rows(LOAD_TESTS, head)}
    (head,) = (line for line in README.read_text().splitlines() if line.startswith("| holds up to |"))
    models = [cell.strip() for cell in head.strip("|").split("|")[1:]]
    summary = {
        (model, scenario.strip("`")): rate
        for scenario, *rates in rows(README, head)
        for model, rate in zip(models, rates, strict=True)
    }
    assert summary == holds
    assert README.read_text().count(SUMMARY_BEGIN) == 1


def test_failures_on_purpose_are_those_that_are_made() -> None:
    (head,) = (line for line in CHAOS.read_text().splitlines() if line.startswith("| experiment | what"))
    shown = {name: (done, criterion) for name, done, _, criterion, _ in rows(CHAOS, head)}
    assert shown == {one.name: (one.describe(one.long), one.criterion) for one in EXPERIMENTS.values()}


def test_python_without_glimpse_classifies() -> None:
    (snippet,) = (block.text for block in blocks(ROOT / "docs/export.md") if block.language == "python")
    assert not {"service", "train", "export"} & {name.split(".")[0] for name in imports_in(snippet)}
    code = [sys.executable, "-c", snippet]
    done = subprocess.run(code, cwd=ROOT, check=True, capture_output=True, text=True)
    assert max(ast.literal_eval(done.stdout).items(), key=lambda item: item[1])[0] == "cat"


def test_tests_are_one_command() -> None:
    section = README.read_text(encoding="utf-8").partition("\n## Tests\n")[2].partition("\n## ")[0]
    assert re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL) == ["make test"]
