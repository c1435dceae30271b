"""HEAD in, what GET would answer out, without its body: probes and `curl -I` ask so."""

from starlette.types import ASGIApp, Receive, Scope, Send


class AnswerHead:
    """ASGI middleware: routes see HEAD as GET; the server, which still sees HEAD, leaves out the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        inner = {**scope, "method": "GET"}
        try:
            await self.app(inner, receive, send)
        finally:
            scope["route"] = inner.get("route")  # for the metrics
