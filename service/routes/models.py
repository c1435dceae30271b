"""GET /classes, /model/info and /models: what is loaded, from the manifests."""

from typing import Any

from fastapi import APIRouter

from service.classifier import Classifier
from service.routes.dependencies import ClassifierDep, RegistryDep
from service.schemas import ClassList, ErrorAnswer, ModelInfo, ModelList, ModelName, ModelSummary

_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "unknown model or version"}
}

router = APIRouter(tags=["models"])


@router.get("/classes", responses=_UNKNOWN)
async def classes(classifier: ClassifierDep) -> ClassList:
    """The classes of a model."""
    names = list(classifier.class_names)
    return ClassList(model=_name(classifier), classes=names, count=len(names))


@router.get("/model/info", responses=_UNKNOWN)
async def model_info(classifier: ClassifierDep) -> ModelInfo:
    """All that is known of a model: input, accuracy, calibration, provenance."""
    return ModelInfo(model=_name(classifier), variant=classifier.variant_name, manifest=classifier.manifest)


@router.get("/models")
async def models(registry: RegistryDep) -> ModelList:
    """The models that are loaded."""
    default = registry.get()
    return ModelList(models=[_summary(classifier, classifier is default) for classifier in registry])


def _name(classifier: Classifier) -> ModelName:
    return ModelName(name=classifier.manifest.name, version=classifier.manifest.version)


def _summary(classifier: Classifier, default: bool) -> ModelSummary:
    manifest = classifier.manifest
    return ModelSummary(
        name=manifest.name,
        version=manifest.version,
        architecture=manifest.architecture,
        classes=len(manifest.class_names),
        variant=classifier.variant_name,
        accuracy=classifier.variant.accuracy,
        default=default,
    )
