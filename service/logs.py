"""How the service logs: lines of JSON for machines, or of text for a person at a terminal."""

import asyncio
import json
import logging
import sys
import time
import warnings
from contextlib import suppress
from typing import Literal, TextIO

from pydantic_core import PydanticSerializationError, to_json

FIELDS = "fields"  # a record's attribute with what else is known, as a dictionary


def configure_logging(level: str, form: Literal["auto", "json", "text"], worker: int | None = None) -> None:
    """Log to standard error, which is where services' logs are looked for.

    Args:
        level: debug, info, warning or error.
        form: "auto" is text where standard error is a terminal, else JSON.
        worker: number of the process among its kind.
    """
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = _TurnHandler()
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


class _TurnHandler(logging.StreamHandler[TextIO]):
    """Writes what is logged in a turn of the event loop together, and a warning at once.

    To write each line for itself takes a tenth of a small picture's time in Python.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._due_in: asyncio.AbstractEventLoop | None = None  # at the end of whose turn they are written

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line until the turn is over, where there is one."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING or not self._write_later():
                self.flush()
        except Exception:  # noqa: BLE001 - as all handlers do
            self.handleError(record)

    def flush(self) -> None:
        """Write what is kept; logging calls this at the end, too."""
        self.acquire()
        try:
            # No line is tried twice: where none can be written they would only add up.
            lines, self._lines = self._lines, []
            self.stream.write("".join(lines))
            super().flush()
        finally:
            self.release()

    def _write_later(self) -> bool:
        """Whether there is a turn, at whose end the lines are written."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._due_in is not loop:
            loop.call_soon(self._end_turn)
            self._due_in = loop
        return True

    def _end_turn(self) -> None:
        self._due_in = None
        with suppress(OSError):  # a full disk, or nobody who reads: no reason to stop
            self.flush()


class _JsonFormatter(logging.Formatter):
    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = worker
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
        try:
            return to_json(line, fallback=str).decode()
        except PydanticSerializationError:  # text that is none, such as a file's name
            return json.dumps(line, default=str)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, FIELDS, {})
        return " ".join([super().format(record), *(f"{name}={value}" for name, value in fields.items())])
