"""The real bill of materials of what is shipped."""

import json
import sys

import pytest

from ops.audit.bill import Bill, check_bill, make_bill
from ops.audit.pins import AuditError, canonical, read_pins
from tests.support import ROOT

PINS = read_pins(ROOT / "requirements.txt")


@pytest.fixture(scope="module")
def bill(shipped: str) -> Bill:
    return make_bill(sys.executable, shipped, ROOT / "pyproject.toml", PINS)


def test_bill_has_the_packages_that_are_shipped_and_no_other(bill: Bill) -> None:
    assert {canonical(one["name"]): one["version"] for one in bill["components"]} == PINS
    assert all(one["purl"].startswith("pkg:pypi/") for one in bill["components"])


def test_bill_says_what_it_is_of_and_what_depends_on_what(bill: Bill) -> None:
    assert bill["metadata"]["component"]["name"] == "glimpse"
    needs = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    assert any(reference.startswith("starlette==") for reference in needs[f"fastapi=={PINS['fastapi']}"])
    assert {reference for one in needs.values() for reference in one} <= needs.keys()


def test_bill_is_valid_and_what_is_not_is_refused(bill: Bill) -> None:
    check_bill(json.dumps(bill))
    with pytest.raises(AuditError, match="is not valid"):
        check_bill(json.dumps({**bill, "made": "up"}))


def test_package_of_another_version_than_pinned_is_named(shipped: str) -> None:
    pins = {**PINS, "numpy": "1.0"}
    with pytest.raises(AuditError, match=r"has no numpy 1\.0: make its environment anew"):
        make_bill(sys.executable, shipped, ROOT / "pyproject.toml", pins)
