"""A service and this machine in, what a reader has to know to believe a measurement out."""

import datetime as dt
import functools
import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtest.address import Address, ServerError
from loadtest.drive import Load
from loadtest.payloads import for_model
from loadtest.record import ENGINE
from loadtest.scenarios import SCENARIOS
from loadtest.target import Target

_ROOT = Path(__file__).resolve().parent.parent
_CLIENT = ("locust", "gevent", "geventhttpclient", "pillow")
_BUILD = re.compile(r"^glimpse_build_info{(.*)} 1", re.MULTILINE)
_WORKERS = re.compile(r"^glimpse_workers (\S+)$", re.MULTILINE)
# Of the service's settings, what says nothing about how fast it is, or must not be told.
_UNTOLD = {
    f"GLIMPSE_{name}" for name in ("DATA", "KEY", "API_KEYS", "HOST", "PORT", "ARTIFACTS", "DEFAULT_MODEL")
}
UNKNOWN = "not known"
_RAN_BEFORE = "not known, as it ran before"


def gather(target: Target, load: Load) -> dict[str, str]:
    """Facts by what they are called, in reading order."""
    metrics = _get(target.address, "/metrics")
    usable = len(os.sched_getaffinity(0))
    own = (f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in _CLIENT))
    return {
        "measured": _now(),
        "machine": _machine(target, load),
        "CPUs of the service": f"{target.cpus or _RAN_BEFORE}, by {_workers(metrics)}",
        "CPUs of the generator": _generators(usable, load),
        "commit": _commit(),
        "service": _build(metrics),
        "settings": _settings() if target.cpus else _RAN_BEFORE,
        "client": ", ".join(own),
        "model": _model(target.address, load.model),
        "scenario": f"{load.scenario}: {SCENARIOS[load.scenario].description}",
    }


def gather_here() -> dict[str, str]:
    """Those of this machine and of this code, where services are started here one after the other."""
    return {
        "measured": _now(),
        "machine": _here(),
        "commit": _commit(),
        "settings": _settings(),
        "client": f"Python {platform.python_version()}",
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _here() -> str:
    return f"{_cpu()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}"


def _machine(target: Target, load: Load) -> str:
    here = _here()
    elsewhere = [] if target.cpus else [f"the service, at {target.address.url},"]
    elsewhere += ["the generator"] if load.remote_workers else []
    return f"{here}; {' and '.join(elsewhere)} may be elsewhere" if elsewhere else here


def _settings() -> str:
    """What the environment sets for the service that we start."""
    told = sorted(name for name in os.environ if name.startswith("GLIMPSE_") and name not in _UNTOLD)
    return ", ".join(f"{name}={os.environ[name]}" for name in told) or "defaults"


def _generators(usable: int, load: Load) -> str:
    if load.remote_workers:
        return f"elsewhere, by {load.remote_workers} workers"
    return f"{usable}, by one process" if load.processes == 1 else f"{usable}, by {load.processes} processes"


def _get(address: Address, path: str) -> str:
    try:
        return address.get(path).text
    except ServerError:
        return ""


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _workers(metrics: str) -> str:
    found = _WORKERS.search(metrics)
    return f"{float(found[1]):g} workers" if found else "an unknown number of workers"


def _build(metrics: str) -> str:
    found = _BUILD.search(metrics)
    if not found:
        return UNKNOWN
    labels = dict(re.findall(r'(\w+)="([^"]*)"', found[1]))
    names = (("version", "Glimpse"), ("python", "Python"), ("onnxruntime", "ONNX Runtime"))
    return ", ".join(f"{shown} {labels[name]}" for name, shown in names if name in labels)


def _model(address: Address, model: str) -> str:
    text = _get(address, for_model("/model/info", model))
    try:
        info: dict[str, Any] = json.loads(text)
        name, manifest, variant = info["model"], info["manifest"], info["variant"]
        engine = info.get("engine", ENGINE)
        accuracy = manifest["variants"][variant]["accuracy"]
    except (ValueError, KeyError, TypeError):
        return model or UNKNOWN
    return f"{name['name']} version {name['version']}, {variant} by {engine}, accuracy {accuracy:.2%}"


@functools.cache  # the code that runs is the one of the start, whatever is written meanwhile
def _commit() -> str:
    commit = _git(["rev-parse", "--short=12", "HEAD"])
    if not commit:
        return UNKNOWN
    return f"{commit} with changes" if _git(["status", "--porcelain"]) else commit


def _git(arguments: Sequence[str]) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
