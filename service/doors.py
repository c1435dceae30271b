"""Who gets in where keys are set; others are answered before anything of a body is read."""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import Overloaded, ServiceError, Unauthorized
from service.schemas import ErrorAnswer
from service.trace import Trace

OPEN_PATHS = frozenset({"/", "/health", "/health/live", "/health/ready", "/docs", "/openapi.json"})
PAGE_FILES = "/page"  # the page has to be there before it can ask for a key


class RequireKey:
    """ASGI middleware: asks for one of the keys wherever pictures or models are concerned."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self.app = app
        # Of equal length, so that comparing says nothing about the keys' lengths either.
        self._digests = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's
        if _is_open(scope) or self._is_known(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        await refuse(Unauthorized(), scope, receive, send, {"WWW-Authenticate": "Bearer"})

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""  # a proxy may have a use for the others
        given = [_digest(key) for key in (bearer, headers.get("x-api-key", ""))]
        # Every key is compared, whether one before it fits or not.
        return sum(hmac.compare_digest(one, known) for one in given for known in self._digests) > 0


async def refuse(
    error: ServiceError, scope: Scope, receive: Receive, send: Send, headers: dict[str, str] | None = None
) -> None:
    """Answer with `error`."""
    trace: Trace = scope["state"]["trace"]
    answer = error_response(error, trace.request_id, headers)
    await answer(scope, receive, send)


def error_response(error: ServiceError, request_id: str, headers: dict[str, str] | None = None) -> Response:
    """An error as JSON, with what its status needs in headers."""
    headers = dict(headers or {})
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(error.retry_after)
    body = ErrorAnswer.of(error, request_id).model_dump_json().encode()
    return Response(body, error.status, headers, "application/json")


def _is_open(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] == "OPTIONS":
        return True
    path: str = scope["path"]
    return path in OPEN_PATHS or path.startswith(f"{PAGE_FILES}/")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
