"""Pictures in, the service's answers out, asked again when it says so."""

import http.client
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from service.client.connection import Answer, Connections
from service.client.errors import PictureError, UsageError
from service.client.pictures import Picture

_ASK_AGAIN = {429, 502, 503, 504}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0  # seconds before asking again where the service names no time
_AHEAD = 16  # pictures a job that are asked about while one before them is still waited for
_LONGEST_WAIT = 120  # seconds; who is told to wait longer is better served by knowing it
# What a proxy may say about one picture; any other answer that isn't the service's own is about the URL.
_ABOUT_ONE = {408, 413, 414, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Target:
    """Which service and model to ask, and how patiently."""

    url: str
    model: str | None = None
    version: str | None = None
    key: str | None = None
    retries: int = 5
    timeout: float = 60.0

    @property
    def query(self) -> str:
        """`?model=&version=`, as far as they are given."""
        given = {name: getattr(self, name) for name in ("model", "version") if getattr(self, name)}
        return f"?{urlencode(given, errors='surrogateescape')}" if given else ""


class Caller:
    """Asks one service, from as many threads as one likes."""

    def __init__(self, target: Target) -> None:
        """Take what to ask.

        Raises:
            UsageError: the URL can't be one of a service.
        """
        headers = {"User-Agent": "glimpse-client", "Accept": "application/json"}
        if target.key:
            headers["X-API-Key"] = target.key
        self._target = target
        self._connections = Connections(target.url, headers, target.timeout)
        self._was_there = False
        self._stopped = threading.Event()

    def classes(self) -> list[str]:
        """The model's classes; shows at once whether the URL, the key and the model are right.

        Raises:
            UsageError: one of them is not.
        """
        try:
            answer = self._ask("GET", f"/classes{self._target.query}")
        except PictureError as error:
            raise UsageError(f"{self._target.url}: {error}") from error
        content = answer.content or {}
        if isinstance(content.get("error"), dict):
            raise UsageError(self._why(answer, str(content["error"].get("message"))))
        names = content.get("classes")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._foreign(answer)
        return names

    def classify(self, picture: Picture) -> dict[str, Any]:
        """The service's answer; one with `error` where it or the file failed.

        Raises:
            UsageError: the service is gone, or something else has taken its place.
        """
        try:
            answer = self._ask("POST", f"/classify{self._target.query}", picture)
        except PictureError as error:
            return {"error": error.error}
        content = answer.content or {}
        if isinstance(content.get("prediction"), dict) or isinstance(content.get("error"), dict):
            return {name: value for name, value in content.items() if name != "filename"}
        if answer.status not in _ABOUT_ONE:
            raise self._foreign(answer)
        return {"error": {"code": "no_answer", "message": f"HTTP {answer.status} {answer.reason}"}}

    def close(self) -> None:
        """Let no thread wait any longer."""
        self._stopped.set()
        self._connections.close()

    def _ask(self, method: str, path: str, picture: Picture | None = None) -> Answer:
        pauses = _pauses(self._target.retries)
        while True:
            pause = next(pauses)
            try:
                answer = self._connections.ask(method, path, picture)
            except (OSError, http.client.HTTPException) as error:
                self._give_up_on(error, is_last=pause is None)
            else:
                self._was_there = True
                if answer.status not in _ASK_AGAIN or pause is None:
                    return answer
                if answer.retry_after.isdecimal():
                    pause = float(answer.retry_after)
                if pause > _LONGEST_WAIT:
                    return answer
            if self._stopped.wait(pause):
                raise PictureError("stopped", "stopped before an answer came")

    def _give_up_on(self, error: OSError | http.client.HTTPException, *, is_last: bool) -> None:
        """Raise unless asking again may help."""
        if not self._was_there:
            raise UsageError(
                f"{self._target.url}: no service answers there ({_reason(error)}): start one with "
                "'make serve', or give the URL of one that runs"
            ) from error
        if isinstance(error, TimeoutError):
            seconds = f"{self._target.timeout:g} s (--timeout)"
            raise PictureError("no_answer", f"no answer came within {seconds}") from error
        if isinstance(error, ConnectionError) and not is_last:
            return
        if isinstance(error, ConnectionRefusedError):
            raise UsageError(f"{self._target.url}: the service is gone ({_reason(error)})") from error
        raise PictureError("no_answer", f"the connection broke ({_reason(error)})") from error

    def _why(self, answer: Answer, message: str) -> str:
        if answer.status == 401 and self._target.key:
            return (
                f"{self._target.url}: the key from --key or GLIMPSE_KEY is none that this service knows: "
                "ask who runs it for one of its GLIMPSE_API_KEYS"
            )
        if answer.status == 401:
            return f"{self._target.url}: this service asks for a key: give one with --key or in GLIMPSE_KEY"
        return f"{self._target.url}: {message}"

    def _foreign(self, answer: Answer) -> UsageError:
        return UsageError(
            f"{self._target.url}: what answers there is not this service (HTTP {answer.status} "
            f"{answer.reason}): give the URL that 'make serve' says it listens on"
        )


def answers(
    caller: Caller, pictures: Iterable[Picture], jobs: int
) -> Generator[tuple[Picture, dict[str, Any]], None, None]:
    """Each picture with its answer as soon as those before it have theirs; `jobs` are asked about at once.

    Raises:
        UsageError: as for Caller.classify.
    """
    pool = ThreadPoolExecutor(jobs)
    asked: deque[tuple[Picture, Future[dict[str, Any]]]] = deque()
    try:
        for picture in pictures:
            asked.append((picture, pool.submit(caller.classify, picture)))
            if len(asked) == jobs * _AHEAD:
                first, answer = asked.popleft()
                yield first, answer.result()
        for first, answer in asked:
            yield first, answer.result()
    finally:
        caller.close()
        pool.shutdown(cancel_futures=True)


def _pauses(retries: int) -> Iterator[float | None]:
    """Seconds before each further try, and None when there is none."""
    for number in range(retries):
        yield min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE)
    yield None


def _reason(error: OSError | http.client.HTTPException) -> str:
    named = isinstance(error, OSError) and error.strerror
    return str(named or error or type(error).__name__).rstrip(".")
