"""GET /classes, /model/info and /models: what is loaded, from the manifests."""

from fastapi import APIRouter

from service.documented import failures
from service.errors import UnknownModel, WrongArgument
from service.routes.dependencies import ClassifierDep, RegistryDep
from service.schemas import ClassList, ModelInfo, ModelList

_FAILURES = failures(UnknownModel(), WrongArgument())

router = APIRouter(tags=["models"])


@router.get("/classes", responses=_FAILURES)
async def classes(classifier: ClassifierDep) -> ClassList:
    """The classes of a model."""
    return ClassList.of(classifier)


@router.get("/model/info", responses=_FAILURES)
async def model_info(classifier: ClassifierDep) -> ModelInfo:
    """All that is known of a model: input, accuracy, calibration, provenance."""
    return ModelInfo.of(classifier)


@router.get("/models", responses=failures())
async def models(registry: RegistryDep) -> ModelList:
    """The models that are loaded."""
    return ModelList.of(registry)
