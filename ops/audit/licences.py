"""A bill of materials in, the licence of each package and whether we may ship it out."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops.audit.bill import Bill

# Permissive ones alone: an image may be passed on with its notices, and without its source.
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-CMU",
        "PSF-2.0",
        "Zlib",
    }
)
# What packages without an SPDX expression name instead.
_SPELLED = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
}
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


@dataclass(frozen=True)
class Licence:
    """What a package's metadata declare; an SPDX expression, or their own words."""

    package: str
    expression: str

    @property
    def is_allowed(self) -> bool:
        """Whether it may be shipped."""
        return is_allowed(self.expression)

    def describe(self) -> str:
        """What is wrong with one that is not, and what to do."""
        return (
            f"{self.package} is under {self.expression}; allowed are {', '.join(sorted(ALLOWED))}: "
            "replace it, or add the licence to ops/audit/licences.py"
        )


def licences(bill: Bill) -> list[Licence]:
    """Of every package, in the bill's order; `(none)` where it declares none."""
    return [Licence(one["name"], _declared(one)) for one in bill["components"]]


def is_allowed(expression: str) -> bool:
    """Whether all that it joins with AND is on the list, and one of all that it joins with OR.

    An exception (WITH) only ever gives more rights; what can't be read is not allowed.
    """
    tokens = _Tokens(expression)
    allowed = tokens.either()
    return allowed and tokens.is_done()


def _declared(component: Bill) -> str:
    found = []
    for one in component.get("licenses", []):
        named = one.get("license", {})
        words = one.get("expression") or named.get("id") or named.get("name")
        found.append(_SPELLED.get(words, words))
    return " AND ".join(dict.fromkeys(found)) or "(none)"


class _Tokens:
    """Reads an SPDX expression from its left to its right: OR binds less than AND."""

    def __init__(self, expression: str) -> None:
        self._left = _TOKEN.findall(expression)

    def is_done(self) -> bool:
        return not self._left

    def either(self) -> bool:
        return any([self._all(), *self._after("OR", self._all)])

    def _all(self) -> bool:
        return all([self._one(), *self._after("AND", self._one)])

    def _after(self, word: str, read: Callable[[], bool]) -> Iterator[bool]:
        while self._left[:1] == [word]:
            self._left.pop(0)
            yield read()

    def _one(self) -> bool:
        name = self._left.pop(0) if self._left else ""
        if name == "(":
            inner = self.either()
            return self._left[:1] == [")"] and self._left.pop(0) == ")" and inner
        if self._left[:1] == ["WITH"]:
            del self._left[:2]
        return name in ALLOWED
