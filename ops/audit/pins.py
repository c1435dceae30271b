"""A pinned requirements file in, its packages and versions out."""

import re
from pathlib import Path

_PIN = re.compile(r"([\w.-]+)==([^\s;\\]+)")


class AuditError(Exception):
    """Nothing can be said of what was given; the message is a sentence."""


def read_pins(file: Path) -> dict[str, str]:
    """Version by canonical name.

    Raises:
        AuditError: it can't be read, or has a requirement without an exact version.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise AuditError(f"{file}: {error.strerror}; 'make lock' writes it") from error
    pins: dict[str, str] = {}
    for line in lines:
        if not line.strip() or line.startswith(("#", " ", "\t", "--")):
            continue
        match = _PIN.match(line)
        if match is None:
            raise AuditError(f"{file}: {line!r} is no NAME==VERSION; 'make lock' pins everything")
        pins[canonical(match[1])] = match[2]
    if not pins:
        raise AuditError(f"{file}: there is no requirement in it")
    return pins


def canonical(name: str) -> str:
    """A package's name as PEP 503 has it: Typing_Extensions is typing-extensions."""
    return re.sub(r"[-_.]+", "-", name).lower()
