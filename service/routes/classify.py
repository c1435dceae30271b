"""POST /classify, /classify/image and /classify/batch: pictures in, classes out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from service.engine import Probabilities
from service.errors import ImageError
from service.limits import read_picture, read_pictures
from service.routes.dependencies import BufferDep, ClassifierDep, EngineDep, SettingsDep, TraceDep
from service.schemas import (
    BatchClassification,
    Classification,
    ErrorAnswer,
    ErrorDetail,
    FailedPicture,
    ShortClassification,
)

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "empty body, or a malformed form"},
    404: {"model": ErrorAnswer, "description": "unknown model or version"},
    413: {"model": ErrorAnswer, "description": "body over the limit"},
    415: {"model": ErrorAnswer, "description": "not a picture in an accepted format"},
    422: {
        "model": ErrorAnswer,
        "description": "no file field, or a picture that does not decode or is too large",
    },
}
_BINARY = {"type": "string", "format": "binary"}


def _form(properties: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": list(properties), "properties": properties}}


_ONE = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": _form({"file": _BINARY}), "image/*": {"schema": _BINARY}},
    }
}
_MANY = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": _form({"files": {"type": "array", "items": _BINARY}})},
    }
}

router = APIRouter(prefix="/classify", tags=["classify"], responses=_ERRORS)


async def _classify(
    request: Request,
    classifier: ClassifierDep,
    engine: EngineDep,
    settings: SettingsDep,
    buffer: BufferDep,
    trace: TraceDep,
) -> tuple[str | None, Probabilities]:
    """The one picture's file name and probabilities."""
    with trace.stage("read"):
        upload = await read_picture(request, settings, buffer)
    return upload.filename, await engine.classify(classifier, upload.data, trace)


ClassifiedDep = Annotated[tuple[str | None, Probabilities], Depends(_classify)]


@router.post("", openapi_extra=_ONE)
async def classify(classified: ClassifiedDep, classifier: ClassifierDep) -> Classification:
    """Classify one picture, sent as the multipart field `file` or as the bare body."""
    filename, probabilities = classified
    return Classification.of(filename, probabilities, classifier)


@router.post("/image", openapi_extra=_ONE)
async def classify_image(classified: ClassifiedDep, classifier: ClassifierDep) -> ShortClassification:
    """Classify one picture; a short answer with the probability of every class."""
    _, probabilities = classified
    return ShortClassification.of(probabilities, classifier)


@router.post("/batch", openapi_extra=_MANY)
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
        uploads = await read_pictures(request, settings, buffer)
    outcomes = await engine.classify_batch(classifier, [upload.data for upload in uploads], trace)
    results: list[Classification | FailedPicture] = []
    for upload, outcome in zip(uploads, outcomes, strict=True):
        if isinstance(outcome, ImageError):
            detail = ErrorDetail(code=outcome.code, message=outcome.message)
            results.append(FailedPicture(filename=upload.filename, error=detail))
        else:
            results.append(Classification.of(upload.filename, outcome, classifier))
    failed = sum(isinstance(result, FailedPicture) for result in results)
    return BatchClassification(results=results, count=len(results), failed=failed)
