"""The page on HTTP against the service: every call, field, status, code and metric, and no others."""

import re

import httpx
import pytest

from service.bundle import Gate, InputSpec, Manifest, Provenance, Variant
from tests.docs.markdown import rows
from tests.support import ROOT, callers_failures

PAGE, EXPORT = ROOT / "docs" / "http-api.md", ROOT / "docs" / "export.md"
TEXT = PAGE.read_text(encoding="utf-8")
# Of Starlette and of the protocol, which raise none of our exceptions.
OTHERS = {
    (400, "malformed_request"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (500, "internal_error"),
}
OF_MANIFESTS = (Manifest, InputSpec, Variant, Gate, Provenance)


@pytest.fixture(scope="module")
def statuses(client: httpx.Client) -> dict[str, list[str]]:
    """What each call can answer, as the running service documents it."""
    paths = client.get("/openapi.json").json()["paths"]
    return {
        f"{method.upper()} {path}": sorted(operation["responses"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def test_every_call_has_its_section(statuses: dict[str, list[str]]) -> None:
    assert set(re.findall(r"^## `(.+)`$", TEXT, re.MULTILINE)) == statuses.keys()


def test_every_call_has_its_statuses(statuses: dict[str, list[str]]) -> None:
    shown = {call.strip("`"): listed.split(", ") for call, listed in rows(PAGE, "| Call | Statuses |")}
    assert shown == statuses


def test_every_error_is_listed_and_no_other() -> None:
    listed = rows(PAGE, "| Status | Code | What came | What to do |")
    assert {(int(status), code.strip("`")) for status, code, *_ in listed} == callers_failures() | OTHERS
    assert all(all(row) for row in listed)


def test_every_field_of_an_answer_is_described(client: httpx.Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for model in OF_MANIFESTS:
        del schemas[model.__name__]
    fields = {field for schema in schemas.values() for field in schema["properties"]}
    assert not {field for field in fields if f"`{field}`" not in TEXT}


def test_every_field_of_a_manifest_is_described() -> None:
    text = EXPORT.read_text(encoding="utf-8")
    assert not {field for one in OF_MANIFESTS for field in one.model_fields if f"`{field}`" not in text}
