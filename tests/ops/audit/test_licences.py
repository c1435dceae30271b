"""Which licences may be shipped."""

import pytest

from ops.audit.licences import is_allowed, licences


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
        "GPL-3.0-only OR MIT",
        "MIT OR GPL-3.0-only AND AGPL-3.0-only",
        "(GPL-3.0-only OR MIT) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ],
)
def test_permissive_expression_is_allowed(expression: str) -> None:
    assert is_allowed(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "MIT AND (GPL-3.0-only OR AGPL-3.0-only)",
        "GPL-3.0-only WITH GCC-exception-3.1",
        "(none)",
        "Some words of their own",
        "MIT MIT",
        "(MIT",
        "MIT)",
        "MIT AND",
        "",
    ],
)
def test_anything_else_is_not(expression: str) -> None:
    assert not is_allowed(expression)


def test_licence_is_read_from_whatever_a_component_has() -> None:
    components = [
        {"name": "a", "licenses": [{"expression": "MIT OR ISC"}]},
        {"name": "b", "licenses": [{"license": {"id": "MIT"}}]},
        {"name": "c", "licenses": [{"license": {"name": "License :: OSI Approved :: BSD License"}}]},
        {"name": "d", "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "Our own"}}]},
        {"name": "e"},
    ]
    found = licences({"components": components})
    expressions = ["MIT OR ISC", "MIT", "BSD-3-Clause", "MIT AND Our own", "(none)"]
    assert [one.expression for one in found] == expressions
    assert [one.is_allowed for one in found] == [True, True, True, False, False]
