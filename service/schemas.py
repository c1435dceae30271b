"""What goes out as JSON, and how an answer is made from probabilities."""

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from service.bundle import Manifest, VariantName
from service.classifier import Classifier, prediction_set, top_k
from service.errors import ImageError, ServiceError
from service.lifecycle import Lifecycle
from service.registry import Registry
from service.session import EngineName

_DECIMALS = 6  # float32 holds about 7; more would be noise


class _Answer(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)


class Prediction(_Answer):
    """A class and how sure the model is."""

    class_name: str = Field(alias="class", examples=["airplane"])
    class_index: int = Field(examples=[0])
    confidence: float = Field(ge=0, le=1, examples=[0.892], description="calibrated probability")


class ModelName(_Answer):
    """Which model answered."""

    name: str = Field(examples=["resnet"])
    version: str = Field(examples=["1"])

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """Name `classifier`."""
        return cls(name=classifier.manifest.name, version=classifier.manifest.version)


class Classification(_Answer):
    """The answer for one picture."""

    filename: str | None = Field(examples=["image.jpg"], description="as sent; null for a bare body")
    prediction: Prediction
    top_3_predictions: list[Prediction]
    prediction_set: list[str] = Field(
        examples=[["airplane", "bird"]], description="holds the true class with the model's stated coverage"
    )
    low_confidence: bool = Field(description="the picture may show none of the classes")
    model: ModelName

    @classmethod
    def of(cls, filename: str | None, probabilities: NDArray[np.float32], classifier: Classifier) -> Self:
        """Describe one picture's probabilities, (classes,)."""
        names = classifier.class_names
        ranked = [
            Prediction(class_name=names[index], class_index=index, confidence=_rounded(probabilities[index]))
            for index in top_k(probabilities, 3)
        ]
        return cls(
            filename=filename,
            prediction=ranked[0],
            top_3_predictions=ranked,
            prediction_set=[names[index] for index in prediction_set(probabilities, classifier.variant)],
            low_confidence=bool(probabilities.max() < classifier.variant.low_confidence_threshold),
            model=ModelName.of(classifier),
        )


class ShortClassification(_Answer):
    """The short answer, with every class."""

    class_name: str = Field(alias="class", examples=["airplane"])
    confidence: float = Field(ge=0, le=1, examples=[0.892])
    all_probabilities: dict[str, float] = Field(examples=[{"airplane": 0.892, "bird": 0.108}])

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], classifier: Classifier) -> Self:
        """Describe one picture's probabilities, (classes,)."""
        best = int(probabilities.argmax())
        return cls(
            class_name=classifier.class_names[best],
            confidence=_rounded(probabilities[best]),
            all_probabilities=_by_class(probabilities, classifier),
        )


class DetailedClassification(Classification):
    """The answer, with every class and the picture as the model saw it."""

    all_probabilities: dict[str, float] = Field(examples=[{"airplane": 0.892, "bird": 0.108}])
    seen: str = Field(
        examples=["data:image/png;base64,iVBORw0KGgo="],
        description="the decoded picture at the model's input size, a PNG as a data URL",
    )

    @classmethod
    def of_seen(
        cls, filename: str | None, probabilities: NDArray[np.float32], png: bytes, classifier: Classifier
    ) -> Self:
        """Describe one picture's probabilities, (classes,), and what they were found in."""
        answer = Classification.of(filename, probabilities, classifier)
        return cls(**dict(answer), all_probabilities=_by_class(probabilities, classifier), seen=data_url(png))


class ErrorDetail(_Answer):
    """What went wrong with one picture of a batch."""

    code: str = Field(examples=["undecodable_image"])
    message: str


class RequestErrorDetail(ErrorDetail):
    """What went wrong with a request."""

    request_id: str


class ErrorAnswer(_Answer):
    """Every answer that is not a success."""

    error: RequestErrorDetail

    @classmethod
    def of(cls, error: ServiceError, request_id: str) -> Self:
        """Describe `error`."""
        return cls(error=RequestErrorDetail(code=error.code, message=error.message, request_id=request_id))


class FailedPicture(_Answer):
    """A picture of a batch that could not be classified."""

    filename: str | None
    error: ErrorDetail


class BatchClassification(_Answer):
    """One result a picture, in the order sent."""

    results: list[Classification | FailedPicture]
    count: int = Field(description="pictures sent")
    failed: int

    @classmethod
    def of(
        cls,
        filenames: Sequence[str | None],
        outcomes: Sequence[NDArray[np.float32] | ImageError],
        classifier: Classifier,
    ) -> Self:
        """Describe each picture's probabilities, (classes,), or why it has none."""
        results: list[Classification | FailedPicture] = []
        for filename, outcome in zip(filenames, outcomes, strict=True):
            if isinstance(outcome, ImageError):
                detail = ErrorDetail(code=outcome.code, message=outcome.message)
                results.append(FailedPicture(filename=filename, error=detail))
            else:
                results.append(Classification.of(filename, outcome, classifier))
        failed = sum(isinstance(result, FailedPicture) for result in results)
        return cls(results=results, count=len(results), failed=failed)


class ClassList(_Answer):
    """A model's classes in the order of their indices."""

    model: ModelName
    classes: list[str]
    count: int

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """List the classes of `classifier`."""
        names = list(classifier.class_names)
        return cls(model=ModelName.of(classifier), classes=names, count=len(names))


class ExampleList(_Answer):
    """Pictures like those that a model was trained on."""

    model: ModelName
    examples: list[str] = Field(
        examples=[["data:image/png;base64,iVBORw0KGgo="]], description="PNGs as data URLs"
    )

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """The golden pictures of `classifier`."""
        return cls(model=ModelName.of(classifier), examples=[data_url(png) for png in classifier.examples])


class ModelSummary(_Answer):
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
            accuracy=classifier.variant.accuracy,
            default=default,
        )


class ModelList(_Answer):
    """All loaded models."""

    models: list[ModelSummary]

    @classmethod
    def of(cls, registry: Registry) -> Self:
        """List what is in `registry`."""
        default = registry.default
        return cls(models=[ModelSummary.of(one, default=one is default) for one in registry])


class ModelInfo(_Answer):
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


class FailedModel(_Answer):
    """A bundle that is there and can't be served."""

    name: str
    version: str
    error: str


class Health(_Answer):
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


class Status(_Answer):
    """A probe's answer."""

    status: str = Field(examples=["ok"])


class ServiceInfo(_Answer):
    """What the service is and where to go from here."""

    name: str
    version: str
    endpoints: Mapping[str, str]
    docs: str | None


def _by_class(probabilities: NDArray[np.float32], classifier: Classifier) -> dict[str, float]:
    pairs = zip(classifier.class_names, probabilities, strict=True)
    return {name: _rounded(probability) for name, probability in pairs}


def data_url(png: bytes) -> str:
    """A PNG file as a URL that holds all of it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _rounded(probability: np.float32) -> float:
    return round(float(probability), _DECIMALS)
