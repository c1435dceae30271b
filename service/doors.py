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
        self._keys = Keys(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's
        if _is_open(scope) or self._keys.know(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        trace: Trace = scope["state"]["trace"]
        await error_response(Unauthorized(), trace.request_id)(scope, receive, send)


class Keys:
    """The keys that open."""

    def __init__(self, keys: Sequence[str]) -> None:
        # Of equal length, so that comparing says nothing about the keys' lengths either.
        self._digests = [_digest(key) for key in keys]

    def know(self, headers: Headers) -> bool:
        """Whether a request with these headers has one of them."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""  # a proxy may have a use for the others
        given = [_digest(key) for key in (bearer, headers.get("x-api-key", ""))]
        # Every key is compared, whether one before it fits or not.
        return sum(hmac.compare_digest(one, known) for one in given for known in self._digests) > 0


def error_response(error: ServiceError, request_id: str) -> Response:
    """An error as JSON, with what its status needs in headers."""
    response = Response(error_body(error, request_id), error.status, media_type="application/json")
    response.raw_headers.extend(error_headers(error))
    return response


def error_body(error: ServiceError, request_id: str) -> bytes:
    """An error as JSON."""
    return ErrorAnswer.of(error, request_id).model_dump_json().encode()


def error_headers(error: ServiceError) -> list[tuple[bytes, bytes]]:
    """What its status needs."""
    if isinstance(error, Overloaded):
        return [(b"retry-after", b"%d" % error.retry_after)]
    if isinstance(error, Unauthorized):
        return [(b"www-authenticate", b"Bearer")]
    return []


def _is_open(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] == "OPTIONS":
        return True
    path: str = scope["path"]
    return path in OPEN_PATHS or path.startswith(f"{PAGE_FILES}/")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
