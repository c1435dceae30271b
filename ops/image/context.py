"""A folder and its .dockerignore in, the files that a build may see out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

IGNORE_FILE = ".dockerignore"


@dataclass(frozen=True)
class Rule:
    """A line of .dockerignore; the last one that fits a path, or a folder above it, decides."""

    pattern: re.Pattern[str]
    keeps: bool


@dataclass(frozen=True)
class Context:
    """What `docker build FOLDER` sends."""

    folder: Path
    rules: tuple[Rule, ...]

    def files(self, source: str) -> Iterator[Path]:
        """Every file at or under `source`, relative to the folder, that is not ignored."""
        start = self.folder / source
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            relative = path.relative_to(self.folder)
            if (path.is_symlink() or path.is_file()) and self.has(relative):
                yield relative

    def has(self, path: Path) -> bool:
        """Whether a file is sent."""
        names = [PurePosixPath(*path.parts[:end]).as_posix() for end in range(1, len(path.parts) + 1)]
        kept = True
        for rule in self.rules:
            if any(map(rule.pattern.fullmatch, names)):
                kept = rule.keeps
        return kept


def read_context(folder: Path) -> Context:
    """The folder as its .dockerignore has it; all of it where there is none."""
    file = folder / IGNORE_FILE
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return Context(folder, read_rules(lines))


def read_rules(lines: Sequence[str]) -> tuple[Rule, ...]:
    """One for each line that is neither empty nor a comment."""
    wanted = (line.strip() for line in lines if line.strip() and not line.startswith("#"))
    return tuple(Rule(_pattern(line.removeprefix("!")), line.startswith("!")) for line in wanted)


def _pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` stop at slashes, `**` does not."""
    glob = glob.strip("/")
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    return re.compile("".join(parts.get(piece, re.escape(piece)) for piece in pieces))
