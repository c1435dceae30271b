"""Dockerfiles are read as an engine reads them, and what is not known is refused."""

import pytest

from ops.image.dockerfile import DockerfileError, expand, parse
from service.app import VERSION
from tests.support import ROOT

TEXT = """\
# a comment
ARG BASE=debian:1.2.3

FROM ${BASE} AS first
RUN one \\
    # between
    && two

FROM first
COPY --from=first --chown=1:1 /a /b
CMD ["python", "-m", "service"]
healthcheck --interval=3s CMD ["true"]
"""


def test_stages_have_their_instructions_with_lines_joined() -> None:
    read = parse(TEXT)
    assert [(one.keyword, one.text) for one in read.arguments] == [("ARG", "BASE=debian:1.2.3")]
    assert [(stage.name, stage.base) for stage in read.stages] == [("first", "${BASE}"), ("1", "first")]
    (run,) = read.stages[0].instructions
    assert (run.line, run.text.split()) == (5, ["one", "&&", "two"])
    assert run.command() == ["/bin/sh", "-c", run.text]


def test_options_and_forms_are_told_apart() -> None:
    copy, command, health = parse(TEXT).stages[1].instructions
    assert (copy.flags, copy.words()) == ({"from": "first", "chown": "1:1"}, ["/a", "/b"])
    assert command.is_exec_form
    assert command.command() == ["python", "-m", "service"]
    assert (health.keyword, health.flags["interval"]) == ("HEALTHCHECK", "3s")


def test_pairs_keep_what_is_quoted_together() -> None:
    (label,) = parse('FROM a\nLABEL one="a b" two=c').stages[0].instructions
    assert label.pairs() == [("one", "a b"), ("two", "c")]


def test_variables_have_values_and_defaults() -> None:
    variables = {"A": "1", "EMPTY": ""}
    assert expand("$A-${A}-${B}-${B:-2}-${EMPTY:-3}", variables) == "1-1--2-3"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Dockerfile:1: there is no FROM"),
        ("RUN a\nFROM b", "Dockerfile:1: RUN stands before the first FROM"),
        ("FROM a\n\nADD x y", "Dockerfile:3: ADD can't be replayed; known are ARG, CMD"),
        ("FROM a b c", "Dockerfile:1: FROM a b c: write FROM IMAGE"),
        ("FROM a\nRUN x \\\n", "Dockerfile:2: the last line ends with a backslash"),
        ("FROM a\nRUN <<EOF\n", "Dockerfile:2: here-documents can't be replayed"),
    ],
)
def test_what_is_not_known_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(DockerfileError, match=says.replace("(", r"\(")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "says"), [("LABEL alone", "write alone=VALUE"), ('CMD ["open', "Unterminated|delimiter")]
)
def test_arguments_that_cannot_be_read_are_refused(text: str, says: str) -> None:
    (instruction,) = parse(f"FROM a\n{text}").stages[0].instructions
    with pytest.raises(DockerfileError, match=says):
        instruction.pairs()


def test_ours_states_the_version_of_the_service() -> None:
    labels = [
        pair
        for stage in parse((ROOT / "Dockerfile").read_text()).stages
        for one in stage.instructions
        if one.keyword == "LABEL"
        for pair in one.pairs()
    ]
    assert dict(labels)["org.opencontainers.image.version"] == VERSION
