"""What the service says of itself and of its models, as JSON."""

import time
from collections.abc import Mapping
from typing import Self

from pydantic import Field

from service.bundle import EngineName, Manifest, VariantName
from service.classifier import Classifier
from service.lifecycle import Lifecycle
from service.registry import Registry
from service.schemas import Answer, ModelName, data_url


class ClassList(Answer):
    """A model's classes in the order of their indices."""

    model: ModelName
    classes: list[str]
    count: int

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """List the classes of `classifier`."""
        names = list(classifier.class_names)
        return cls(model=ModelName.of(classifier), classes=names, count=len(names))


class ExampleList(Answer):
    """Pictures like those that a model was trained on."""

    model: ModelName
    examples: list[str] = Field(
        examples=[["data:image/png;base64,iVBORw0KGgo="]], description="PNGs as data URLs"
    )

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """The golden pictures of `classifier`."""
        return cls(model=ModelName.of(classifier), examples=[data_url(png) for png in classifier.examples])


class ModelSummary(Answer):
    """A loaded model in a line."""

    name: str
    version: str
    architecture: str
    classes: int
    variant: VariantName
    engine: EngineName = Field(description="what computes it")
    accuracy: float = Field(description="share, on the data set's test pictures")
    default: bool

    @classmethod
    def of(cls, classifier: Classifier, *, default: bool) -> Self:
        """Summarise `classifier`, which may be the default one."""
        manifest = classifier.manifest
        return cls(
            name=manifest.name,
            version=manifest.version,
            architecture=manifest.architecture,
            classes=len(manifest.class_names),
            variant=classifier.variant_name,
            engine=classifier.engine,
            accuracy=classifier.variant.accuracy_by(classifier.engine),
            default=default,
        )


class ModelList(Answer):
    """All loaded models."""

    models: list[ModelSummary]

    @classmethod
    def of(cls, registry: Registry) -> Self:
        """List what is in `registry`."""
        default = registry.default
        return cls(models=[ModelSummary.of(one, default=one is default) for one in registry])


class ModelInfo(Answer):
    """A model's manifest, and which of its variants answers by which engine."""

    model: ModelName
    variant: VariantName
    engine: EngineName
    manifest: Manifest

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """Show all that is known of `classifier`."""
        return cls(
            model=ModelName.of(classifier),
            variant=classifier.variant_name,
            engine=classifier.engine,
            manifest=classifier.manifest,
        )


class FailedModel(Answer):
    """A bundle that is there and can't be served."""

    name: str
    version: str
    error: str


class Health(Answer):
    """The state of the service."""

    status: str = Field(examples=["ok"])
    ready: bool
    models: list[ModelName]
    failed: list[FailedModel]
    uptime_seconds: float

    @classmethod
    def of(cls, registry: Registry, lifecycle: Lifecycle) -> Self:
        """Say how the service is: "degraded" when a bundle is there that can't be served."""
        failed = [
            FailedModel(name=one.name, version=one.version, error=one.reason) for one in registry.failures
        ]
        return cls(
            status="stopping" if lifecycle.is_stopping else "degraded" if failed else "ok",
            ready=not lifecycle.is_stopping,
            models=[ModelName.of(one) for one in registry],
            failed=failed,
            uptime_seconds=round(time.monotonic() - lifecycle.started, 1),
        )


class Status(Answer):
    """A probe's answer."""

    status: str = Field(examples=["ok"])


class ServiceInfo(Answer):
    """What the service is and where to go from here."""

    name: str
    version: str
    endpoints: Mapping[str, str]
    docs: str | None
