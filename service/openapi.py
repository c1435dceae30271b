"""A running application in, the OpenAPI document of just this service out: its models, limits and keys."""

from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from numpy.typing import NDArray

from service.descriptions import ClassList, ExampleList, Health, ModelInfo, ModelList, Status
from service.documented import REQUEST_ID, failures
from service.doors import OPEN_PATHS
from service.errors import Overloaded, Unauthorized, UnsupportedFormat
from service.imaging import encode_png
from service.parts import parts_of
from service.registry import Registry
from service.routes.page import service_info
from service.schemas import (
    BatchClassification,
    Classification,
    DetailedClassification,
    ErrorAnswer,
    ModelName,
    ShortClassification,
    data_url,
)

Document = dict[str, Any]

_DESCRIPTION = """\
Whatever is refused is refused in one form: a code, a sentence, the request's id. So are a path that does not
exist (404, `not_found`), a method that a path does not take (405, `method_not_allowed`, with `Allow`) and
what is no HTTP at all (400, `malformed_request`).
HEAD answers wherever GET does. An `X-Request-ID` or `traceparent` that is sent becomes the request's id."""
_CONFIDENCES = (0.892, 0.087, 0.021)
_HEADERS: Document = {
    "X-Request-ID": {
        "description": "the request's id, as in the log",
        "required": True,
        "schema": {"type": "string"},
        "example": REQUEST_ID,
    },
    "Server-Timing": {
        "description": "milliseconds of each stage that the request came to, and of all",
        "required": True,
        "schema": {"type": "string"},
        "example": "read;dur=0.310, queue;dur=0.052, decode;dur=0.274, infer;dur=3.911, total;dur=4.720",
    },
    "Retry-After": {
        "description": "seconds after which to try again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": Overloaded().retry_after,
    },
    "WWW-Authenticate": {"required": True, "schema": {"type": "string"}, "example": "Bearer"},
}
_KEYS: Document = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def build_document(app: FastAPI) -> Document:
    """What FastAPI knows of the routes, and what only a running service knows.

    An answer that this service can't give, such as 401 without keys, is not in it.
    """
    parts = parts_of(app)
    settings, registry = parts.settings, parts.registry
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        routes=app.routes,
    )
    document["components"]["headers"] = _HEADERS
    answers = _answers(app)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if settings.keys and path not in OPEN_PATHS:
                _ask_for_key(operation)
            _name_models(operation, registry)
            media = next(iter(operation["responses"]["200"]["content"].values()))
            media["example"] = answers[path]
            _add_headers(operation)
    if settings.keys:
        document["components"]["securitySchemes"] = _KEYS
    form = document["paths"]["/classify/batch"]["post"]["requestBody"]["content"]["multipart/form-data"]
    form["schema"]["properties"]["files"]["maxItems"] = settings.max_batch
    return document


def _answers(app: FastAPI) -> Document:
    """An answer to each call, from the code that makes the real ones."""
    parts = parts_of(app)
    classifier = parts.registry.default or next(iter(parts.registry))
    probabilities = _probabilities(len(classifier.class_names))
    outcomes = (probabilities, UnsupportedFormat())
    ok = Status(status="ok")
    png = encode_png(np.zeros((1, 1, 3), np.uint8))
    models = {
        "/": service_info(app),
        "/classify": Classification.of("cat.png", probabilities, classifier),
        "/classify/image": ShortClassification.of(probabilities, classifier),
        "/classify/details": DetailedClassification.of_seen("cat.png", probabilities, png, classifier),
        "/classify/batch": BatchClassification.of(["cat.png", "notes.txt"], outcomes, classifier),
        "/classes": ClassList.of(classifier),
        "/model/info": ModelInfo.of(classifier),
        "/model/examples": ExampleList(model=ModelName.of(classifier), examples=[data_url(png)]),
        "/models": ModelList.of(parts.registry),
        "/health": Health.of(parts.registry, parts.lifecycle),
        "/health/live": ok,
        "/health/ready": ok,
    }
    metrics = "# TYPE glimpse_workers gauge\nglimpse_workers 2.0\n"
    return {"/metrics": metrics, **{path: one.model_dump(mode="json") for path, one in models.items()}}


def _probabilities(classes: int) -> NDArray[np.float32]:
    probabilities = np.zeros(max(classes, len(_CONFIDENCES)), np.float32)
    probabilities[: len(_CONFIDENCES)] = _CONFIDENCES
    return probabilities[:classes]


def _ask_for_key(operation: Document) -> None:
    operation["security"] = [{name: []} for name in _KEYS]
    refusal = failures(Unauthorized())[Unauthorized.status]
    del refusal["model"]
    refusal["content"]["application/json"]["schema"] = {
        "$ref": f"#/components/schemas/{ErrorAnswer.__name__}"
    }
    operation["responses"][str(Unauthorized.status)] = refusal


def _name_models(operation: Document, registry: Registry) -> None:
    """The arguments take what is loaded."""
    loaded = {
        "model": sorted({one.manifest.name for one in registry}),
        "version": sorted({one.manifest.version for one in registry}),
    }
    for parameter in operation.get("parameters", ()):
        names = loaded[parameter["name"]]
        parameter["schema"] = {"type": "string", "enum": names}
        parameter["examples"] = {name: {"value": name} for name in names}


def _add_headers(operation: Document) -> None:
    works = "requestBody" in operation
    for status, response in operation["responses"].items():
        names = ["X-Request-ID", "Server-Timing"]
        names += ["Retry-After"] if works and status == str(Overloaded.status) else []
        names += ["WWW-Authenticate"] if status == str(Unauthorized.status) else []
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
