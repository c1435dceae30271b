"""The pages for people in; their blocks, commands, links and headings out."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support import ROOT

_FENCE = re.compile(r"\s*```(\w*)\s*")
_LINK = re.compile(r"\[[^\[\]]*\]\(([^()\s]+)\)")  # a picture's too
_CODE = re.compile(r"`+[^`]*`+")


@dataclass(frozen=True)
class Block:
    """What stands between two fences; the first one is `line`, the last one `end`, counted from 1."""

    page: Path
    line: int
    end: int
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """One line of a ```sh block, and the JSON that the page shows as its answer."""

    page: Path
    line: int
    text: str
    answer: Block | None = None

    @property
    def place(self) -> str:
        """Where it stands, as an editor takes it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def words(self) -> list[str]:
        """As a shell would split it, without its comment."""
        return shlex.split(self.text, comments=True)


def pages() -> list[Path]:
    """Every page that is written for people; model cards are written by the export."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """In the order in which they stand."""
    found: list[Block] = []
    begin, language, inside = 0, "", list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.fullmatch(line)
        if fence and begin:
            text = textwrap.dedent("\n".join(inside))
            found.append(Block(page, begin, number, language, text))
            begin = 0
        elif fence:
            begin, language, inside = number, fence[1], []
        elif begin:
            inside.append(line)
    assert not begin, f"{page}:{begin}: a block that does not end"
    return found


def commands(page: Path) -> Iterator[Command]:
    """Of all ```sh blocks; JSON right below a block is the answer to its last command."""
    found = blocks(page)
    lines = page.read_text(encoding="utf-8").splitlines()
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language != "sh":
            continue
        own = list(_commands_of(block))
        if own and after and after.language == "json":
            between = "".join(lines[block.end : after.line - 1])
            own[-1] = replace(own[-1], answer=None if between.strip() else after)
        yield from own


def _commands_of(block: Block) -> Iterator[Command]:
    text, begin = "", 0
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        begin = begin if text else number
        text += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        if text.strip() and not text.lstrip().startswith("#"):
            yield Command(block.page, begin, text.strip())
        text = ""


def prose(page: Path) -> list[tuple[int, str]]:
    """The numbered lines outside of blocks."""
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    inside = {number for block in blocks(page) for number in range(block.line, block.end + 1)}
    return [(number, line) for number, line in lines if number not in inside]


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Line and target of every link and picture."""
    for number, line in prose(page):
        for target in _LINK.findall(_CODE.sub("", line)):
            yield number, target


def anchors(page: Path) -> set[str]:
    """What `#...` may name in the page, as GitHub makes it of the headings."""
    found: set[str] = set()
    for _, line in prose(page):
        if not re.match(r"#{1,6} ", line):
            continue
        title = re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", line.lstrip("#").strip())
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found.add(next(one for one in _numbered(name) if one not in found))
    return found


def rows(page: Path, head: str) -> list[list[str]]:
    """The cells of the table under the header row `head`, without that row and the line below it.

    Raises:
        LookupError: the page has no such table.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    if head not in lines:
        raise LookupError(f"{page.relative_to(ROOT)} has no table {head!r}")
    found = []
    for line in lines[lines.index(head) + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def _numbered(name: str) -> Iterator[str]:
    """A heading that stands twice gets a number."""
    yield name
    number = 0
    while True:
        number += 1
        yield f"{name}-{number}"
