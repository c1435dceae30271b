"""The service's interpreter in, how long its models take in process out."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from bench.figures import Alone
from loadtest.address import ServerError

_NAMES = [field.name for field in fields(Alone)]


def measure_models(
    python: str, calls: int, model: str | None = None, file: Path | None = None
) -> list[Alone]:
    """Run `python -m service.bench`, whose progress is its own.

    Args:
        python: the interpreter that has ONNX Runtime.
        calls: of each model, variant and batch size.
        model: the only one; all by default.
        file: where its result is kept for load tests' reports.

    Raises:
        ServerError: it could not measure.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = file or Path(folder) / "bench.json"
        command = [python, "-m", "service.bench", "--calls", str(calls), "--json", str(result)]
        command += ["--model", model] if model else []
        if subprocess.run(command, check=False).returncode:
            raise ServerError("the models could not be measured alone")
        return [_row(row, _NAMES) for row in json.loads(result.read_bytes())["rows"]]


def _row(row: dict[str, object], names: Sequence[str]) -> Alone:
    return Alone(**{name: row[name] for name in names})  # type: ignore[arg-type]
