"""What is made of pip-audit's answers."""

import json

import pytest

from ops.audit.vulnerabilities import Unreachable, read_answer

FINE = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN = {"name": "pillow", "skip_reason": "Dependency not found"}
FOUND = {"name": "h11", "version": "0.1", "vulns": [{"id": "PYSEC-1", "fix_versions": []}]}


def answer(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_vulnerability_without_a_mend_says_so() -> None:
    (one,) = read_answer(answer(FINE, FOUND, UNKNOWN)).found
    assert one.describe() == "h11 0.1 has PYSEC-1, not fixed in any version"


def test_package_that_the_service_does_not_know_is_not_taken_for_safe() -> None:
    with pytest.raises(Unreachable, match="it knows nothing of 1 of 2 packages, among them pillow"):
        read_answer(answer(FINE, UNKNOWN))
