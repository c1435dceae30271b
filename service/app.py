"""Settings in, an ASGI application out, its models loaded and checked."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from service.board import Place
from service.doors import RequireKey, error_response
from service.errors import ServiceError
from service.head import AnswerHead
from service.middleware import ObserveRequests
from service.openapi import build_document
from service.parts import Parts, build_parts, parts_of
from service.routes import classify, health, models, page
from service.schemas import ErrorAnswer, RequestErrorDetail
from service.settings import Settings

VERSION = "0.1.0"


def create_app(settings: Settings, place: Place | None = None) -> FastAPI:
    """Load every bundle, and build the application around them.

    Args:
        settings: how to serve.
        place: of this process among other workers, if there are any.

    Raises:
        BundleError: no bundle can be served, or there is none.
        SettingsError: the default model is not among them, or has to be named.
    """
    parts = build_parts(settings, VERSION, place)
    app = FastAPI(
        title="Glimpse",
        version=VERSION,
        summary="Pictures in, classes and calibrated confidences out.",
        lifespan=_lifespan,
        docs_url="/docs" if settings.docs else None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would go wherever the caller's Host header says
        openapi_url="/openapi.json" if settings.docs else None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours are; asking for it took a while
    )
    app.state.parts = parts
    _add_middleware(app, parts)
    for routes in (page, classify, models, health):
        app.include_router(routes.router)
    if settings.examples:
        app.include_router(page.examples_router)
    if settings.page:
        page.add_page_files(app)
    app.add_exception_handler(ServiceError, _answer_service_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    if settings.docs:
        document = build_document(app)  # now, because later it would hold up requests
        app.openapi = lambda: document  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts = parts_of(app)
    try:
        parts.engine.start()
        parts.metrics.note_ready()
        yield
    finally:
        parts.engine.close()


def _add_middleware(app: FastAPI, parts: Parts) -> None:
    """The last one added is the first to see a request."""
    settings = parts.settings
    app.add_middleware(AnswerHead)
    if settings.keys:
        app.add_middleware(RequireKey, keys=settings.keys)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "X-Request-ID", "Traceparent", "Content-Type"],
            expose_headers=["X-Request-ID", "Server-Timing", "Retry-After"],
        )
    app.add_middleware(ObserveRequests, observer=parts.observer)


async def _answer_service_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):  # Starlette passes what the handler was registered for
        raise error
    return error_response(error, _request_id(request))


async def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own errors, such as a path that does not exist, in our form."""
    if not isinstance(error, HTTPException):
        raise error
    code = error.detail.lower().replace(" ", "_")
    message = f"{request.method} {request.url.path}: {error.detail.lower()}; GET / lists the endpoints"
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"
    return _answer(request, code, message, error.status_code, headers)


def _answer(
    request: Request, code: str, message: str, status: int, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    detail = RequestErrorDetail(code=code, message=message, request_id=_request_id(request))
    return JSONResponse(ErrorAnswer(error=detail).model_dump(), status, headers)


def _request_id(request: Request) -> str:
    request_id: str = request.state.trace.request_id
    return request_id
