"""POST /classify, /classify/image and /classify/batch: pictures in, classes out."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from service.documented import failures
from service.engine import Classified
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
from service.imaging import ACCEPTED_FORMATS, encode_png
from service.limits import (
    Patience,
    missing_file,
    read_picture,
    read_pictures,
    too_many_images,
    unexpected_field,
)
from service.routes.dependencies import BufferDep, ClassifierDep, EngineDep, SettingsDep, TraceDep
from service.schemas import BatchClassification, Classification, DetailedClassification, ShortClassification

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
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form, **others}}}


_ONE = _body("file", _BINARY, {media_type: {"schema": _BINARY} for media_type in _MEDIA_TYPES})
_MANY = _body("files", {"type": "array", "items": _BINARY, "minItems": 1}, {})

router = APIRouter(prefix="/classify", tags=["classify"])


async def _classify(
    request: Request,
    classifier: ClassifierDep,
    engine: EngineDep,
    settings: SettingsDep,
    buffer: BufferDep,
    trace: TraceDep,
) -> tuple[str | None, Classified]:
    """The one picture's file name, and what became of it."""
    with trace.stage("read"):
        upload = await read_picture(request, settings, buffer, engine.light.check)
    return upload.filename, await engine.classify(classifier, upload.data, trace)


ClassifiedDep = Annotated[tuple[str | None, Classified], Depends(_classify)]


@router.post("", responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify(classified: ClassifiedDep, classifier: ClassifierDep) -> Classification:
    """Classify one picture, sent as the multipart field `file` or as the bare body."""
    filename, (_, probabilities) = classified
    return Classification.of(filename, probabilities, classifier)


@router.post("/image", responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify_image(classified: ClassifiedDep, classifier: ClassifierDep) -> ShortClassification:
    """Classify one picture; a short answer with the probability of every class."""
    _, (_, probabilities) = classified
    return ShortClassification.of(probabilities, classifier)


@router.post("/details", responses=_ONE_FAILS, openapi_extra=_ONE)
async def classify_details(classified: ClassifiedDep, classifier: ClassifierDep) -> DetailedClassification:
    """Classify one picture; the whole answer, every class, and the picture as the model saw it."""
    filename, (pixels, probabilities) = classified
    # In a thread: at a network's usual size it takes no time, at a large one others would wait for it.
    seen = await asyncio.to_thread(encode_png, pixels)
    return DetailedClassification.of_seen(filename, probabilities, seen, classifier)


@router.post("/batch", responses=_MANY_FAIL, openapi_extra=_MANY)
async def classify_batch(
    request: Request,
    classifier: ClassifierDep,
    engine: EngineDep,
    settings: SettingsDep,
    buffer: BufferDep,
    trace: TraceDep,
) -> BatchClassification:
    """Classify several pictures, each a multipart field `files`; one bad picture fails alone."""
    with trace.stage("read"):
        uploads = await read_pictures(request, settings, buffer, engine.light.check)
    patience = Patience(request, settings.batch_seconds)
    outcomes = await engine.classify_batch(
        classifier, [upload.data for upload in uploads], trace, patience.go_on
    )
    return BatchClassification.of([upload.filename for upload in uploads], outcomes, classifier)
