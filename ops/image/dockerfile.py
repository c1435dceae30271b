"""A Dockerfile's text in, its stages and their instructions out; what it does not know it refuses."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# What ops.image.replay can carry out.
KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL",
    "USER", "WORKDIR",
}  # fmt: skip
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


class DockerfileError(Exception):
    """The Dockerfile can't be read, or not be replayed; the message is a sentence with its line.

    Line 0 stands for the whole of it.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"Dockerfile:{line}: {message}" if line else f"Dockerfile: {message}")


@dataclass(frozen=True)
class Instruction:
    """One of them, its lines joined; `flags` are the options before its arguments, without dashes."""

    line: int
    keyword: str
    flags: Mapping[str, str]
    text: str

    @property
    def is_exec_form(self) -> bool:
        """Whether its command is a JSON list of words, which no shell reads."""
        return self.text.startswith("[")

    def words(self) -> list[str]:
        """Its arguments, of either form.

        Raises:
            DockerfileError: a quote or a bracket is not closed.
        """
        try:
            return list(map(str, json.loads(self.text))) if self.is_exec_form else shlex.split(self.text)
        except ValueError as error:
            raise DockerfileError(self.line, f"{self.keyword} {self.text}: {error}") from error

    def command(self) -> list[str]:
        """Its arguments as the words of a process; the other form is for a shell."""
        return self.words() if self.is_exec_form else ["/bin/sh", "-c", self.text]

    def pairs(self) -> list[tuple[str, str]]:
        """Its arguments as KEY=VALUE.

        Raises:
            DockerfileError: one of them is none.
        """
        split = [word.partition("=") for word in self.words()]
        for key, sign, _ in split:
            if not sign:
                raise DockerfileError(self.line, f"{self.keyword} {key}: write {key}=VALUE")
        return [(key, value) for key, _, value in split]


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next; `base` may still have variables."""

    name: str
    base: str
    line: int
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Dockerfile:
    """`arguments` are the ARGs before the first FROM, which all FROMs may use."""

    arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]


def parse(text: str) -> Dockerfile:
    """Take it apart.

    Raises:
        DockerfileError: there is an instruction that we can't replay, or no FROM.
    """
    arguments: list[Instruction] = []
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for line, joined in _joined_lines(text):
        instruction = _read(line, joined)
        if instruction.keyword == "FROM":
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif instruction.keyword == "ARG":
            arguments.append(instruction)
        else:
            raise DockerfileError(instruction.line, f"{instruction.keyword} stands before the first FROM")
    if not stages:
        raise DockerfileError(1, "there is no FROM")
    return Dockerfile(tuple(arguments), tuple(_stage(index, *stage) for index, stage in enumerate(stages)))


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Put values in the place of $NAME, ${NAME} and ${NAME:-default}; unknown ones are empty."""
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2]) or match[3] or "", text)


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each instruction with the number of its first line."""
    begin, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        begin = begin or number
        joined += line.strip().removesuffix("\\")
        if not line.rstrip().endswith("\\"):
            yield begin, joined.strip()
            begin, joined = 0, ""
    if joined:
        raise DockerfileError(begin, "the last line ends with a backslash, and nothing follows")


def _read(line: int, text: str) -> Instruction:
    keyword, _, rest = text.partition(" ")
    keyword = keyword.upper()
    if keyword not in KNOWN:
        raise DockerfileError(line, f"{keyword} can't be replayed; known are {', '.join(sorted(KNOWN))}")
    if "<<" in rest:
        raise DockerfileError(
            line, "here-documents can't be replayed: put the lines into a file, or join them"
        )
    flags: dict[str, str] = {}
    rest = rest.strip()
    while match := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        flags[match[1]] = match[2]
        rest = rest[match.end() :]
    return Instruction(line, keyword, flags, rest)


def _stage(index: int, begin: Instruction, instructions: list[Instruction]) -> Stage:
    match begin.text.split():
        case [base]:
            name = str(index)
        case [base, as_, name] if as_.upper() == "AS":
            pass
        case _:
            raise DockerfileError(begin.line, f"FROM {begin.text}: write FROM IMAGE, or FROM IMAGE AS NAME")
    return Stage(name, base, begin.line, tuple(instructions))
