"""POST /classify, /classify/image and /classify/batch: pictures in, classes out."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from service.call import Call
from service.classifier import Classifier
from service.documented import failures
from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    EmptyBody,
    ImageTooLarge,
    MalformedMultipart,
    Overloaded,
    TooManyImages,
    UndecodableImage,
    UnknownModel,
    UnsupportedFormat,
    WrongArgument,
)
from service.forms import missing_file, too_many_images, unexpected_field
from service.imaging import ACCEPTED_FORMATS, encode_png
from service.limits import Patience, read_picture, read_pictures
from service.parts import Parts, parts_of
from service.routes.asked import CHOOSES_MODEL, choose
from service.schemas import BatchClassification, Classification, DetailedClassification, ShortClassification
from service.turn import Classified

_FAILURES = (
    EmptyBody(),
    MalformedMultipart(),
    UnknownModel(),
    BodyTimeout(),
    BodyTooLarge(),
    WrongArgument(),
    Overloaded(),
)
_ONE_FAILS = failures(
    *_FAILURES,
    UnsupportedFormat(),
    UndecodableImage(),
    ImageTooLarge(),
    TooManyImages(),
    missing_file("file"),
    unexpected_field("model", "file"),
)
_MANY_FAIL = failures(
    *_FAILURES, too_many_images(64), missing_file("files"), unexpected_field("model", "files")
)
_BINARY = {"type": "string", "format": "binary"}
_MEDIA_TYPES = [f"image/{name.lower()}" for name in ACCEPTED_FORMATS]


def _body(field: str, schema: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI is to say of a form with one field, or of another body."""
    form = {
        "schema": {
            "type": "object",
            "required": [field],
            "properties": {field: schema},
            "additionalProperties": False,
        },
    }
    body = {"required": True, "content": {"multipart/form-data": form, **others}}
    return {**CHOOSES_MODEL, "requestBody": body}


_ONE = _body("file", _BINARY, {media_type: {"schema": _BINARY} for media_type in _MEDIA_TYPES})
_MANY = _body("files", {"type": "array", "items": _BINARY, "minItems": 1}, {})

Function = Callable[[Parts, Call], Awaitable[bytes]]

router = APIRouter(prefix="/classify", tags=["classify"])
FUNCTIONS: dict[str, Function] = {}  # of the router's paths, for those who need no FastAPI to call them


def _answers(path: str, response_model: type[BaseModel], **document: Any) -> Callable[[Function], Function]:  # noqa: ANN401 - FastAPI's
    """Have a function, whose bytes are JSON, answer at a path."""

    def register(function: Function) -> Function:
        async def endpoint(request: Request) -> Response:
            content = await function(parts_of(request.app), Call.of(request))
            return Response(content, media_type="application/json")

        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            name=function.__name__,
            description=inspect.getdoc(function),
            response_model=response_model,
            **document,
        )
        FUNCTIONS[router.prefix + path] = function
        return function

    return register


async def _classify(parts: Parts, call: Call) -> tuple[Classifier, str | None, Classified]:
    """The model, the one picture's file name, and what became of it."""
    trace = call.trace
    classifier = choose(parts, call.query, trace)
    with parts.buffer.body() as received:
        with trace.stage("read"):
            upload = await read_picture(call, parts.settings, received, parts.engine.light.check)
        return classifier, upload.filename, await parts.engine.classify(classifier, upload.data, trace)


def _json(answer: BaseModel) -> bytes:
    """FastAPI would check once more that it is what it is."""
    return answer.model_dump_json().encode()


@_answers("", Classification, responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify(parts: Parts, call: Call) -> bytes:
    """Classify one picture, sent as the multipart field `file` or as the bare body."""
    classifier, filename, (_, probabilities) = await _classify(parts, call)
    return _json(Classification.of(filename, probabilities, classifier))


@_answers("/image", ShortClassification, responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify_image(parts: Parts, call: Call) -> bytes:
    """Classify one picture; a short answer with the probability of every class."""
    classifier, _, (_, probabilities) = await _classify(parts, call)
    return _json(ShortClassification.of(probabilities, classifier))


@_answers("/details", DetailedClassification, responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify_details(parts: Parts, call: Call) -> bytes:
    """Classify one picture; the whole answer, every class, and the picture as the model saw it."""
    classifier, filename, (pixels, probabilities) = await _classify(parts, call)
    # In a thread: at a network's usual size it takes no time, at a large one others would wait for it.
    seen = await asyncio.to_thread(encode_png, pixels)
    return _json(DetailedClassification.of_seen(filename, probabilities, seen, classifier))


@_answers("/batch", BatchClassification, responses=_MANY_FAIL, openapi_extra=_MANY)
async def classify_batch(parts: Parts, call: Call) -> bytes:
    """Classify several pictures, each a multipart field `files`; one bad picture fails alone."""
    trace = call.trace
    classifier = choose(parts, call.query, trace)
    with parts.buffer.body() as received:
        with trace.stage("read"):
            uploads = await read_pictures(call, parts.settings, received, parts.engine.light.check)
        patience = Patience(call, parts.settings.batch_seconds)
        outcomes = await parts.engine.classify_batch(
            classifier, [upload.data for upload in uploads], trace, patience.go_on
        )
    names = [upload.filename for upload in uploads]
    return _json(BatchClassification.of(names, outcomes, classifier))
