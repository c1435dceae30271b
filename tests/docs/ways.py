"""How each command of the pages is tried: really where that is quick, else as far as a moment allows."""

import contextlib
import importlib
import inspect
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from export import __main__ as export
from service.settings import read_settings
from tests.docs.markdown import Command
from tests.docs.world import World, called_by_make, make
from tests.support import ROOT

Way = Callable[[Command, World], object]  # what it gives is the JSON that the command printed, or None
Words = Sequence[str]

_VARIABLE = re.compile(r"([A-Z]\w*)=(\S*)\s+")
_STATUS = re.compile(r"#\s*(\d{3})\b")
_CALLING = (
    "serve|tune|demo|test|screenshots|train|export|loadtest|capacity|scenarios|bench|overload|chaos|check|"
    "image-check|audit"
)
_NO_PARSER = {"service.demo", "pytest"}
_SHORT = ("--rate", "40", "--duration", "1s", "--repeats", "1", "--scenario", "cifar")
_LOCUST = (
    "import sys, loadtest.locustfile; from locust.argument_parser import parse_options; "
    "parse_options(sys.argv[1:])"
)
# Folders of the repository: what a command names in them has to be there.
_FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} - {".venv", "runs", "data"}


def try_command(command: Command, world: World) -> object:
    """Try it in its way; the JSON that it printed, where the page shows some.

    Raises:
        LookupError: nobody has said how.
    """
    variables, text = split_variables(command.text)
    for pattern, way in WAYS:
        if re.match(pattern, text):
            find_files(command, world)
            with setting(variables):
                return way(command, world)
    raise LookupError(
        f"{command.place}: {command.text!r}: nobody has said how to try this: add a line for it to WAYS in "
        "tests/docs/ways.py, with one of the ways there or a new one"
    )


def split_variables(text: str) -> tuple[dict[str, str], str]:
    """The environment variables before a command, and the command."""
    variables = {}
    while match := _VARIABLE.match(text):
        variables[match[1]] = match[2]
        text = text[match.end() :]
    return variables, text


@contextlib.contextmanager
def setting(variables: dict[str, str]) -> Iterator[None]:
    """See that the service would take these, and let the command have them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        read_settings()
        yield


def ask(command: Command, world: World) -> object:
    """Curl gets the status that stands in the command's comment, or 200."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (world.folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "%{stderr}%{http_code}"\n')
    done = world.run(command.text, CURL_HOME=str(world.folder))
    assert done.returncode == 0, done.stderr
    status = _STATUS.search(command.text)
    assert done.stderr == (status[1] if status else "200"), done.stdout
    return json.loads(done.stdout) if command.answer else None


def run(command: Command, world: World) -> object:
    """As it stands, in the scratch folder; the client has to be told where the service is."""
    client = " -m service.client " in command.text and "http://" not in command.text
    done = world.run(f"{command.text} {world.url}" if client else command.text)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if command.answer else None


def look_at(command: Command, _: World) -> None:
    """The target exists, and make can say what it would do."""
    done = make(["--dry-run", *split_words(command)[1:]])
    assert done.returncode == 0, done.stderr


def have_make_call(command: Command, _: World) -> None:
    """The target's recipe runs, and every program that it would start takes its arguments."""
    with tempfile.TemporaryDirectory() as folder:
        calls = called_by_make(split_words(command), Path(folder))
    assert calls, "the target starts nothing"
    for program, *words in calls:
        if program == "python":
            parse_module(words)


def look_at_bundles(command: Command, _: World) -> None:
    """In this process, since PyTorch takes seconds to import."""
    with contextlib.chdir(ROOT):
        assert export.main(split_words(command)[3:]) == 0


def measure_for_a_second(command: Command, world: World) -> None:
    """With the same options but for rate, time and scenario; whether it passes is not asked."""
    text = command.text.partition("  #")[0]
    done = world.run(" ".join((text, *_SHORT)))
    assert done.returncode in {0, 1}, done.stderr
    assert "written: " in done.stdout or "--report" not in text


def compare(command: Command, world: World) -> None:
    """What two short runs measured."""
    words = split_words(command)
    at = words.index("--compare")
    for name in words[at + 1 : at + 3]:
        if not (world.folder / name / "report.json").exists():
            short = f".venv/dev/bin/python -m loadtest --url http://localhost:8000 --report {name}"
            measure_for_a_second(Command(command.page, command.line, short), world)
    done = world.run(command.text)
    assert done.returncode == 0, done.stderr


def parse(command: Command, _: World) -> None:
    """The module takes its arguments."""
    parse_module(split_words(command)[1:])


def share(command: Command, _: World) -> None:
    """Torchrun takes its arguments, and the module that it starts takes its own."""
    arguments = get_args_parser().parse_args(split_words(command)[1:])
    assert arguments.module
    parse_module(["-m", arguments.training_script, *arguments.training_script_args])


def parse_for_locust(command: Command, _: World) -> None:
    """In a process of its own: locust changes how the one that imports it waits."""
    arguments = [sys.executable, "-c", _LOCUST, *split_words(command)[1:]]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def render_manifests(command: Command, _: World) -> None:
    """Kustomize makes objects of the folder; no cluster gets them."""
    call_kubectl(["kustomize", split_words(command)[-1]])


def create_nowhere(command: Command, _: World) -> None:
    """As it stands, without a cluster."""
    call_kubectl([*split_words(command)[1:], "--dry-run=client"])


def create_certificate_nowhere(command: Command, world: World) -> None:
    """Without a cluster, with a certificate that is made for it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    words = split_words(command)
    given = {option: words[words.index(option) + 1] for option in ("--cert", "--key")}
    request = "req -x509 -newkey rsa:2048 -nodes -subj /CN=glimpse.example.com"
    files = ("-out", given["--cert"], "-keyout", given["--key"])
    subprocess.run([openssl, *request.split(), *files], cwd=world.folder, check=True, capture_output=True)
    call_kubectl([*words[1:], "--dry-run=client"], world.folder)


def call_kubectl(words: Words, folder: Path = ROOT) -> None:
    """Where there is one."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl (Debian's kubernetes-client)")
    done = subprocess.run(
        [kubectl, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def find_files(command: Command, _: World) -> None:
    """What the command names of the repository is there."""
    for word in split_words(command):
        name = re.split(r"[=@]", word)[-1]
        if Path(name).parts[:1] and Path(name).parts[0] in _FOLDERS:
            assert (ROOT / name).exists(), f"{command.place}: there is no {name}"


def split_words(command: Command) -> list[str]:
    """The command's words without the variables before it and the comment behind it."""
    _, text = split_variables(command.text)
    return Command(command.page, command.line, text).words


def parse_module(words: Words) -> None:
    """Have a module's own parser take the arguments.

    Raises:
        AssertionError: it does not.
    """
    assert words[0] == "-m", words
    module, arguments = words[1], list(words[2:])
    if module in _NO_PARSER:
        assert module == "pytest" or not arguments
        return
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.setattr(sys, "argv", [module, *arguments])
        try:
            _parser_of(module)(arguments)
        except SystemExit as error:
            raise AssertionError(f"python -m {module}: {said.getvalue()}") from error


def _parser_of(module: str) -> Callable[[list[str]], object]:
    if module == "export":
        return export._parse_export
    if module in {"train", "loadtest", "service.client", "chaos", "bench", "ops.image", "ops.audit"}:
        module = f"{module}.__main__"
    if module == "service":
        module = "service.command"
    its_own = importlib.import_module(module)._parse
    # One without parameters reads the command line.
    return its_own if inspect.signature(its_own).parameters else lambda _: its_own()


# The first that fits is taken; variables before a command are none of it.
WAYS: tuple[tuple[str, Way], ...] = (
    (r"curl\b.* '?(http://)?localhost:8000", ask),
    (r"make help$", run),
    # Their recipes start programs of an environment, and do nothing else.
    (rf"make ({_CALLING})\b", have_make_call),
    (r"make\b", look_at),
    (r"\.venv/(dev|service)/bin/python -m service\.(client|settings_table)\b", run),
    (r"\.venv/dev/bin/python -m export (verify|show)\b", look_at_bundles),
    (r"\.venv/dev/bin/python -m loadtest --url http://localhost:8000\b", measure_for_a_second),
    (r"\.venv/dev/bin/python -m loadtest --compare\b", compare),
    (r"\.venv/(dev|service)/bin/python -m \w", parse),
    (r"\.venv/dev/bin/torchrun\b", share),
    (r"\.venv/dev/bin/locust\b", parse_for_locust),
    (r"kubectl (kustomize|apply --kustomize)\b", render_manifests),
    (r"kubectl create secret tls\b", create_certificate_nowhere),
    (r"kubectl create\b", create_nowhere),
    (r"(apt-get|cp|docker|kubectl|nginx|promtool|rm|\.venv/dev/bin/(ruff|mypy))\b", find_files),
)
