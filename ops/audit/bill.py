"""An environment and the pins of what is shipped of it in, a bill of materials in CycloneDX out."""

import json
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ops.audit.pins import AuditError, canonical

Bill = dict[str, Any]
VERSION = SchemaVersion.V1_6
# Of packages whose metadata have no SPDX name: what a person has found them to say.
_CONCLUDED = {"protobuf": "BSD-3-Clause"}
_ROOT = "root-component"  # what cyclonedx-bom calls the project itself


def make_bill(tool: str, environment: str, project: Path, pins: Mapping[str, str]) -> Bill:
    """Every pinned package with its licences and what it depends on, and nothing else of the environment.

    The same pins give the same bill, whatever else the environment has. check_bill validates it.

    Args:
        tool: the Python that has cyclonedx-bom.
        environment: the Python that has the packages.
        project: the pyproject.toml of what they are shipped with.
        pins: version by canonical name.

    Raises:
        AuditError: the environment has not all of them at these versions.
    """
    of = ["--pyproject", str(project), "--mc-type", "application"]
    form = ["--spec-version", VERSION.to_version(), "--output-format", "JSON", "--output-reproducible"]
    words = [tool, "-m", "cyclonedx_py", "environment", *of, *form, "--no-validate", environment]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise AuditError(f"no bill of materials could be made of {environment}: {last}")
    return _only(json.loads(done.stdout), pins, environment)


def check_bill(text: str) -> None:
    """Return if it is valid.

    Raises:
        AuditError: it is not.
    """
    with warnings.catch_warnings():  # of a library that the validator uses
        warnings.simplefilter("ignore", DeprecationWarning)
        wrong = JsonStrictValidator(VERSION).validate_str(text)
    if wrong is not None:
        raise AuditError(f"the bill of materials is not valid: {wrong}")


def _only(bill: Bill, pins: Mapping[str, str], environment: str) -> Bill:
    kept = [one for one in bill["components"] if pins.get(canonical(one["name"])) == one["version"]]
    if missing := pins.keys() - {canonical(one["name"]) for one in kept}:
        name = min(missing)
        raise AuditError(f"{environment} has no {name} {pins[name]}: make its environment anew (make serve)")
    for one in kept:
        if "licenses" not in one and one["name"] in _CONCLUDED:
            one["licenses"] = [{"license": {"acknowledgement": "concluded", "id": _CONCLUDED[one["name"]]}}]
    references = {one["bom-ref"] for one in kept}
    # Of what it could use if it were there, an environment of ours has more than is shipped.
    needs = [
        {**one, "dependsOn": [needed for needed in one.get("dependsOn", []) if needed in references]}
        for one in bill["dependencies"]
        if one["ref"] in references
    ]
    needs.append({"ref": _ROOT, "dependsOn": sorted(references)})
    return {**bill, "components": kept, "dependencies": needs}
