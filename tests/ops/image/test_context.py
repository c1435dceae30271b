"""What .dockerignore keeps out of a build."""

from pathlib import Path

import pytest

from ops.image.context import Context, read_context, read_rules
from tests.support import ROOT


def has(lines: list[str], path: str) -> bool:
    return Context(ROOT, read_rules(lines)).has(Path(path))


@pytest.mark.parametrize(
    ("lines", "path", "kept"),
    [
        ([], "a/b", True),
        (["# a", "", "b"], "a", True),
        (["*"], "a/b", False),
        (["*", "!a"], "a/b/c", True),
        (["*", "!a", "a/*/c"], "a/b/c", False),
        (["*", "!a", "a/*/c"], "a/b/d", True),
        (["a"], "a/b", False),
        (["/a/"], "a/b", False),
        (["*.md"], "x/y.md", True),
        (["**/*.md"], "x/y.md", False),
        (["**/*.md"], "y.md", False),
        (["a?c"], "abc", False),
        (["a?c"], "a/c", True),
        (["a.c"], "abc", True),
    ],
)
def test_last_rule_that_fits_decides(lines: list[str], path: str, *, kept: bool) -> None:
    assert has(lines, path) is kept


def test_folder_without_a_file_of_rules_is_sent_whole(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    assert list(read_context(tmp_path).files("a")) == [Path("a/b")]


def test_ours_sends_code_and_models_without_what_they_were_made_of() -> None:
    context = read_context(ROOT)
    sent = {path.as_posix() for top in ("service", "artifacts") for path in context.files(top)}
    assert {"service/app.py", "service/static/page/app.js", "artifacts/cnn/2/model.onnx"} <= sent
    assert not [path for path in sent if "/card/" in path or "checkpoint" in path or "__pycache__" in path]
    assert not list(context.files("train"))
    assert not context.has(Path("artifacts/resnet/.3/model.onnx")), "a bundle that is hidden is not served"
