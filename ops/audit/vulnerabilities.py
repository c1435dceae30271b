"""Pinned packages in, the known vulnerabilities of them out; asks a public service."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_TIMEOUT_SECONDS = 15  # for each answer


class Unreachable(Exception):
    """The service that knows of vulnerabilities did not answer, so nothing is known."""


@dataclass(frozen=True)
class Vulnerability:
    """One that is known of a pinned package."""

    package: str
    version: str
    name: str
    fixed_in: tuple[str, ...]

    def describe(self) -> str:
        """A sentence with what to do."""
        mend = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed in any version"
        return f"{self.package} {self.version} has {self.name}, {mend}"


@dataclass(frozen=True)
class Answer:
    """What the service knows against so many packages."""

    packages: int
    found: list[Vulnerability]


def find_vulnerabilities(
    pins: Mapping[str, str], accepted: Iterable[str] = (), more: Sequence[str] = ()
) -> Answer:
    """Have pip-audit ask about every pin, and resolve nothing.

    Args:
        pins: version by canonical name.
        accepted: names of vulnerabilities that do not count, such as CVE-2026-1234.
        more: further options of pip-audit.

    Raises:
        Unreachable: there was no whole answer.
    """
    ignored = [word for name in accepted for word in ("--ignore-vuln", name)]
    shown = ["--format", "json", "--desc", "off", "--progress-spinner", "off"]
    patience = ["--timeout", str(_TIMEOUT_SECONDS)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in pins.items())
        file.flush()
        asked = ["--requirement", file.name, "--disable-pip", "--no-deps"]
        words = [sys.executable, "-m", "pip_audit", *asked, *shown, *patience, *ignored, *more]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    # Its status is 1 for a vulnerability as well as for no answer; JSON comes with the first alone.
    if not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["pip-audit says nothing"])[-1]
        raise Unreachable(last)
    return read_answer(done.stdout)


def read_answer(text: str) -> Answer:
    """Pip-audit's JSON.

    Raises:
        Unreachable: nothing is known against any package, and some are not known at all.
    """
    packages = json.loads(text)["dependencies"]
    found = [
        Vulnerability(one["name"], one["version"], each["id"], tuple(each["fix_versions"]))
        for one in packages
        for each in one.get("vulns", [])
    ]
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if unknown and not found:
        named = ", ".join(unknown[:3])
        raise Unreachable(
            f"it knows nothing of {len(unknown)} of {len(packages)} packages, among them {named}"
        )
    return Answer(len(packages), found)
