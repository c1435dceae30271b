"""GET /classes, /model/info and /models: what is loaded, from the manifests."""

from fastapi import APIRouter, Request

from service.descriptions import ClassList, ModelInfo, ModelList
from service.documented import failures
from service.errors import UnknownModel, WrongArgument
from service.parts import parts_of
from service.routes.asked import CHOOSES_MODEL, classifier_of

_FAILURES = failures(UnknownModel(), WrongArgument())

router = APIRouter(tags=["models"])


@router.get("/classes", responses=_FAILURES, openapi_extra=CHOOSES_MODEL)
async def classes(request: Request) -> ClassList:
    """The classes of a model."""
    return ClassList.of(classifier_of(request))


@router.get("/model/info", responses=_FAILURES, openapi_extra=CHOOSES_MODEL)
async def model_info(request: Request) -> ModelInfo:
    """All that is known of a model: input, accuracy, calibration, provenance."""
    return ModelInfo.of(classifier_of(request))


@router.get("/models", responses=failures())
async def models(request: Request) -> ModelList:
    """The models that are loaded."""
    return ModelList.of(parts_of(request.app).registry)
