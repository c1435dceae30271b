"""Each instruction does what it does in an engine, on made Dockerfiles."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ops.image import base
from ops.image.context import read_context
from ops.image.dockerfile import DockerfileError, parse
from ops.image.replay import Given, Image, replay

Build = Callable[..., Image]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder of a few files."""
    context = tmp_path / "context"
    (context / "code" / "deep").mkdir(parents=True)
    (context / "code" / "run.sh").write_text("#!/bin/sh\necho $GREETING\n")
    (context / "code" / "run.sh").chmod(0o755)
    (context / "code" / "deep" / "secret.key").write_text("a secret")
    (context / ".dockerignore").write_text("**/*.key\n")
    return context


@pytest.fixture
def make(archive: Path, context: Path, tmp_path: Path) -> Build:
    """Builds the image of a Dockerfile's text."""

    def build(text: str, **arguments: str) -> Image:
        given = Given(read_context(context), partial(base.unpack, archive), arguments=arguments)
        return replay(parse(text), given, tmp_path / "built")

    return build


def test_stages_arguments_and_variables(make: Build) -> None:
    image = make(
        "ARG WHAT=base\n"
        "FROM ${WHAT} AS first\n"
        "ARG GREETING=none\n"
        "WORKDIR /made\n"
        "COPY code .\n"
        "RUN ./run.sh > said && ! test -e deep && test $(id -u) = 0\n"
        "FROM ${WHAT}\n"
        "ARG WHAT\n"
        "ENV PLACE=/here PATH=/here/bin:${PATH}\n"
        'LABEL of="${WHAT} image"\n'
        "COPY --from=first /made ${PLACE}\n"
        "COPY code/run.sh /bin/greet\n"
        "WORKDIR ${PLACE}\n"
        "USER 10001:10001\n"
        "RUN test $(id -u) = 10001 && test $(pwd) = /here && ! touch new 2>/dev/null\n"
        "EXPOSE 8000/tcp\n"
        'CMD ["greet"]\n',
        GREETING="hello",
    )
    assert (image.root / "here" / "said").read_text() == "hello\n"
    assert (image.root / "bin" / "greet").stat().st_mode & 0o777 == 0o755
    assert image.environment["PATH"].startswith("/here/bin:/usr/local/")
    assert image.labels == {"of": "base image"}
    assert (image.user, image.working_directory, image.ports) == ("10001:10001", "/here", ["8000/tcp"])
    assert image.process().command == ["greet"]


def test_run_that_fails_is_told_with_its_line_and_its_last_words(make: Build) -> None:
    with pytest.raises(DockerfileError, match=r"(?s)Dockerfile:2: RUN ended with status 3:.*the reason"):
        make("FROM a\nRUN echo the reason; exit 3")


def test_run_reaches_no_network(make: Build) -> None:
    make("FROM a\nRUN test $(ls /sys/class/net) = lo")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FROM a\nCOPY none .", "COPY none: there is no such file"),
        ("FROM a\nCOPY code/deep .", "COPY code/deep: there is no such file, or .dockerignore keeps it out"),
        ("FROM a\nCOPY --chown=1 code .", "COPY --chown can't be replayed"),
        ("FROM a\nCOPY --from=b code .", "COPY --from=b: no stage before has this name"),
        ("FROM a\nHEALTHCHECK NONE", "HEALTHCHECK NONE: write HEALTHCHECK CMD"),
        ("FROM a\nRUN --mount=type=cache x", "RUN --mount can't be replayed"),
        ("FROM a\nUSER somebody\nRUN true", "USER somebody: write it as two numbers"),
        ("FROM $NONE", "names nothing: give its ARG a default"),
    ],
)
def test_what_cannot_be_replayed_is_refused(text: str, says: str, context: Path, tmp_path: Path) -> None:
    given = Given(read_context(context), unpack=lambda _: None)
    with pytest.raises(DockerfileError, match=says):
        replay(parse(text), given, tmp_path / "built")
