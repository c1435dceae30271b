"""This machine in words."""

import platform
from pathlib import Path


def describe_machine() -> str:
    """The processor, and which of its extensions matter for 8-bit arithmetic."""
    facts: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    except OSError:  # not Linux
        pass
    flags = set(facts.get("flags", "").split())
    known = [flag for flag in ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8") if flag in flags]
    model = facts.get("model name") or platform.processor() or platform.machine()
    return f"{model} ({', '.join(known) or 'no vector extension known'})"
