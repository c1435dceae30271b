"""The service's interpreter in, how long its models take in process out."""

import json
import subprocess
import tempfile
from pathlib import Path

from loadtest.address import ServerError
from service.bench import Row


def measure_models(python: str, calls: int, model: str | None = None, file: Path | None = None) -> list[Row]:
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
        return [Row(**row) for row in json.loads(result.read_bytes())["rows"]]
