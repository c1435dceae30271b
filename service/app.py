"""Settings in, an ASGI application out, its models loaded and checked."""

import time
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.engine import Engine
from service.errors import ServiceError
from service.metrics import Metrics
from service.middleware import ObserveRequests
from service.registry import load_registry
from service.routes import classify, health, models
from service.schemas import ErrorAnswer, RequestErrorDetail
from service.settings import Settings

VERSION = "0.1.0"


def create_app(settings: Settings) -> FastAPI:
    """Load every bundle, and build the application around them.

    Raises:
        BundleError: a bundle can't be served, or there is none.
    """
    app = FastAPI(
        title="Glimpse", version=VERSION, summary="Pictures in, classes and calibrated confidences out."
    )
    metrics = Metrics()
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.registry = load_registry(settings.artifacts, settings.default_model, settings.variant)
    app.state.engine = Engine(settings.threads, settings.limits, metrics)
    app.state.started = time.monotonic()
    app.add_middleware(ObserveRequests, metrics=metrics)
    for routes in (classify, models, health):
        app.include_router(routes.router)
    app.add_exception_handler(ServiceError, _answer_service_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    return app


async def _answer_service_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ServiceError):  # Starlette passes what the handler was registered for
        raise error
    return JSONResponse(ErrorAnswer.of(error, _request_id(request)).model_dump(), error.status)


async def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own errors, such as a path that does not exist, in our form."""
    if not isinstance(error, HTTPException):
        raise error
    code = error.detail.lower().replace(" ", "_")
    message = f"{request.method} {request.url.path}: {error.detail.lower()}; GET / lists the endpoints"
    return _answer(request, code, message, error.status_code, error.headers)


async def _answer_validation_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return _answer(request, "invalid_request", problems, 422)


def _answer(
    request: Request, code: str, message: str, status: int, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    detail = RequestErrorDetail(code=code, message=message, request_id=_request_id(request))
    return JSONResponse(ErrorAnswer(error=detail).model_dump(), status, headers)


def _request_id(request: Request) -> str:
    request_id: str = request.state.trace.request_id
    return request_id
