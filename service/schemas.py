"""What goes out as JSON of pictures, and how an answer is made from probabilities."""

import base64
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from service.classifier import Classifier, prediction_set_size, rank
from service.errors import ImageError, ServiceError

_DECIMALS = 6  # float32 holds about 7; more would be noise


class Answer(BaseModel):
    """What all answers have in common."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)


class Prediction(Answer):
    """A class and how sure the model is."""

    class_name: str = Field(alias="class", examples=["airplane"])
    class_index: int = Field(examples=[0])
    confidence: float = Field(ge=0, le=1, examples=[0.892], description="calibrated probability")


class ModelName(Answer):
    """Which model answered."""

    name: str = Field(examples=["resnet"])
    version: str = Field(examples=["1"])

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """Name `classifier`."""
        return cls(name=classifier.manifest.name, version=classifier.manifest.version)


class Classification(Answer):
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
        names, ranked = classifier.class_names, rank(probabilities)
        top = [
            Prediction(class_name=names[index], class_index=index, confidence=_rounded(probabilities[index]))
            for index in ranked[:3]
        ]
        members = ranked[: prediction_set_size(probabilities, classifier.variant)]
        return cls(
            filename=filename,
            prediction=top[0],
            top_3_predictions=top,
            prediction_set=[names[index] for index in members],
            low_confidence=bool(probabilities[ranked[0]] < classifier.variant.low_confidence_threshold),
            model=ModelName.of(classifier),
        )


class ShortClassification(Answer):
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


class ErrorDetail(Answer):
    """What went wrong with one picture of a batch."""

    code: str = Field(examples=["undecodable_image"])
    message: str


class RequestErrorDetail(ErrorDetail):
    """What went wrong with a request."""

    request_id: str


class ErrorAnswer(Answer):
    """Every answer that is not a success."""

    error: RequestErrorDetail

    @classmethod
    def of(cls, error: ServiceError, request_id: str) -> Self:
        """Describe `error`."""
        return cls(error=RequestErrorDetail(code=error.code, message=error.message, request_id=request_id))


class FailedPicture(Answer):
    """A picture of a batch that could not be classified."""

    filename: str | None
    error: ErrorDetail


class BatchClassification(Answer):
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


def _by_class(probabilities: NDArray[np.float32], classifier: Classifier) -> dict[str, float]:
    pairs = zip(classifier.class_names, probabilities, strict=True)
    return {name: _rounded(probability) for name, probability in pairs}


def data_url(png: bytes) -> str:
    """A PNG file as a URL that holds all of it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _rounded(probability: np.float32) -> float:
    return round(float(probability), _DECIMALS)
