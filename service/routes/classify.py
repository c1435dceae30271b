"""POST /classify, /classify/image and /classify/batch: pictures in, classes out."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

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
from service.parts import parts_of
from service.routes.asked import CHOOSES_MODEL, answer, classifier_of, trace_of
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

router = APIRouter(prefix="/classify", tags=["classify"])


async def _classify(request: Request) -> tuple[Classifier, str | None, Classified]:
    """The model, the one picture's file name, and what became of it."""
    parts, classifier, trace = parts_of(request.app), classifier_of(request), trace_of(request)
    with parts.buffer.body() as received:
        with trace.stage("read"):
            upload = await read_picture(request, parts.settings, received, parts.engine.light.check)
        return classifier, upload.filename, await parts.engine.classify(classifier, upload.data, trace)


@router.post("", response_model=Classification, responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify(request: Request) -> Response:
    """Classify one picture, sent as the multipart field `file` or as the bare body."""
    classifier, filename, (_, probabilities) = await _classify(request)
    return answer(Classification.of(filename, probabilities, classifier))


@router.post("/image", response_model=ShortClassification, responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify_image(request: Request) -> Response:
    """Classify one picture; a short answer with the probability of every class."""
    classifier, _, (_, probabilities) = await _classify(request)
    return answer(ShortClassification.of(probabilities, classifier))


@router.post("/details", response_model=DetailedClassification, responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify_details(request: Request) -> Response:
    """Classify one picture; the whole answer, every class, and the picture as the model saw it."""
    classifier, filename, (pixels, probabilities) = await _classify(request)
    # In a thread: at a network's usual size it takes no time, at a large one others would wait for it.
    seen = await asyncio.to_thread(encode_png, pixels)
    return answer(DetailedClassification.of_seen(filename, probabilities, seen, classifier))


@router.post("/batch", response_model=BatchClassification, responses=_MANY_FAIL, openapi_extra=_MANY)
async def classify_batch(request: Request) -> Response:
    """Classify several pictures, each a multipart field `files`; one bad picture fails alone."""
    parts, classifier, trace = parts_of(request.app), classifier_of(request), trace_of(request)
    with parts.buffer.body() as received:
        with trace.stage("read"):
            uploads = await read_pictures(request, parts.settings, received, parts.engine.light.check)
        patience = Patience(request, parts.settings.batch_seconds)
        outcomes = await parts.engine.classify_batch(
            classifier, [upload.data for upload in uploads], trace, patience.go_on
        )
    names = [upload.filename for upload in uploads]
    return answer(BatchClassification.of(names, outcomes, classifier))
