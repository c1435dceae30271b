"""`python -m ops.audit`: may what we ship go out? Exit status 0 for yes, 1 for no.

It writes a bill of materials of the pinned runtime, holds its licences against a list, and asks a public
service for known vulnerabilities of all that is pinned. Exit status 77, with a sentence, where nothing speaks
against it, and that service could not be asked.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.audit.bill import VERSION, check_bill, make_bill
from ops.audit.licences import licences
from ops.audit.pins import AuditError, read_pins
from ops.audit.vulnerabilities import Unreachable, find_vulnerabilities

SKIPPED = 77  # as test runners have it
_REPOSITORY = Path(__file__).resolve().parents[2]
_SHIPPED = _REPOSITORY / "requirements.txt"
# The first holds all that the others have, at the same versions, but OpenVINO's plugin.
_ALL = tuple(_REPOSITORY / f"requirements-{layer}.txt" for layer in ("dev", "openvino"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Say of each of the three how it is, then the verdict."""
    given = _parse(arguments)
    try:
        wrong = audit_shipped(given.python, given.bill)
        pins = {name: version for file in _ALL for name, version in read_pins(file).items()}
    except (AuditError, OSError) as error:
        print(f"ops.audit: {error}", file=sys.stderr)
        return 2
    try:
        wrong += audit_vulnerabilities(pins, given.accept, given.pip_audit)
        is_known = True
    except Unreachable as error:
        is_known = False
        print(f"vulnerabilities: NOT KNOWN, since the service that knows of them could not be asked: {error}")
    for one in wrong:
        print(f"FAILED: {one}")
    if wrong:
        return 1
    print(
        "PASSED" if is_known else "PASSED but for vulnerabilities: ask again where the service can be reached"
    )
    return 0 if is_known else SKIPPED


def audit_shipped(python: str, target: Path) -> list[str]:
    """Write the bill of materials; what is wrong with its licences.

    Raises:
        AuditError: no bill can be made.
        OSError: it can't be written.
    """
    bill = make_bill(sys.executable, python, _REPOSITORY / "pyproject.toml", read_pins(_SHIPPED))
    text = json.dumps(bill, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    check_bill(text)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    declared = licences(bill)
    print(f"bill of materials: {target}, CycloneDX {VERSION.to_version()}, {len(declared)} packages")
    counted = Counter(one.expression for one in declared).most_common()
    print(f"licences: {', '.join(f'{count} {name}' for name, count in counted)}")
    return [one.describe() for one in declared if not one.is_allowed]


def audit_vulnerabilities(
    pins: Mapping[str, str], accepted: Sequence[str], options: Sequence[str]
) -> list[str]:
    """What is known against these packages, versions by canonical name.

    Raises:
        Unreachable: the service does not answer, or not for all of them.
    """
    answer = find_vulnerabilities(pins, accepted, options)
    print(f"vulnerabilities: {len(answer.found)} known of {answer.packages} packages")
    return [one.describe() for one in answer.found]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ops.audit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--python", default=sys.executable, help="Python with what is shipped installed (default: this one)")
    add("--bill", type=Path, default=Path("runs/sbom.json"), help="file for the bill (runs/sbom.json)")
    add("--accept", action="append", default=[], metavar="ID", help="a vulnerability that does not count")
    add("--pip-audit", action="append", default=[], metavar="OPTION", help="for pip-audit, --pip-audit=--ANY")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
