"""A number of CPUs in, the ways to share them among workers out."""

from dataclasses import dataclass

_SHARES = (1, 2, 4, 8)  # CPUs a worker, besides all of them


@dataclass(frozen=True)
class Setup:
    """How many processes answer, and how many threads compute a picture in each."""

    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{_count(self.workers, 'worker')} with {_count(self.threads, 'thread')}"


def candidates(cpus: int) -> list[Setup]:
    """Setups that use all CPUs and none twice, the one with the most workers first."""
    threads = sorted({share for share in _SHARES if share <= cpus} | {cpus})
    return [Setup(cpus // share, share) for share in threads]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
