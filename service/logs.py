"""How the service logs: lines of JSON for machines, or of text for a person at a terminal."""

import json
import logging
import sys
import time
import warnings
from typing import Literal

FIELDS = "fields"  # a record's attribute with what else is known, as a dictionary


def configure_logging(level: str, form: Literal["auto", "json", "text"], worker: int | None = None) -> None:
    """Log to standard error, which is where services' logs are looked for.

    Args:
        level: debug, info, warning or error.
        form: "auto" is text where standard error is a terminal, else JSON.
        worker: number of the process among its kind.
    """
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(_TextFormatter() if is_text else _JsonFormatter(worker))
    _leave_out_what_no_line_has()
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))


def ignore_pillows_warnings() -> None:
    """Pillow warns of each odd tag in a file; whoever sent it could fill the log."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _leave_out_what_no_line_has() -> None:
    """Finding out file, thread and process takes a fifth of a line's time (Python's logging how-to)."""
    logging._srcfile = None  # noqa: SLF001 - the how-to's way
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _JsonFormatter(logging.Formatter):
    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = worker
        self._encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
        self._second, self._moment = -1, ""  # of the last line, and as text

    def format(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            self._second, self._moment = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line: dict[str, object] = {
            "time": f"{self._moment}.{min(999, int(record.msecs)):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._worker is not None:
            line["worker"] = self._worker
        line.update(getattr(record, FIELDS, {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._encode(line)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, FIELDS, {})
        return " ".join([super().format(record), *(f"{name}={value}" for name, value in fields.items())])
