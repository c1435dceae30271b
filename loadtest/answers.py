"""A service's answer in, what is wrong with it out: status, the JSON's form, the classes."""

import json
from collections.abc import Sequence
from typing import Any

from loadtest.payloads import Payload

# A dict names exactly the keys that have to be there; a list holds any number of its one entry.
_PREDICTION = {"class": str, "class_index": int, "confidence": float}
_CLASSIFICATION = {
    "filename": str | None,
    "prediction": _PREDICTION,
    "top_3_predictions": [_PREDICTION],
    "prediction_set": [str],
    "low_confidence": bool,
    "model": {"name": str, "version": str},
}
_BATCH = {"results": [_CLASSIFICATION], "count": int, "failed": int}
_ERROR = {"error": {"code": str, "message": str, "request_id": str}}
_SHOWN = 200  # characters of an answer in a sentence about it


def check_answer(payload: Payload, status: int, text: str, expected: Sequence[str] | None) -> str | None:
    """One sentence on what is wrong; None where all is well.

    Args:
        payload: what was sent.
        status: what came, 0 for nothing.
        text: the answer's body.
        expected: the class of each picture in the payload; None where any is right.
    """
    if status != payload.status:
        return f"status {status}, not {payload.status}: {_shorten(text)}"
    try:
        answer = json.loads(text)
    except ValueError:
        return f"the answer is no JSON: {_shorten(text)}"
    if payload.code is not None:
        return _check_error(payload.code, answer)
    is_batch = payload.path.endswith("/batch")
    if problem := _mismatch(answer, _BATCH if is_batch else _CLASSIFICATION, "the answer"):
        return problem
    found = answer["results"] if is_batch else [answer]
    if len(found) != len(payload.shows):
        return f"{len(found)} results for {len(payload.shows)} pictures"
    return _check_classes(found, expected)


def classes_of(text: str) -> list[str]:
    """The class of each picture in an answer that `check_answer` finds nothing wrong with."""
    answer = json.loads(text)
    return [one["prediction"]["class"] for one in answer.get("results", [answer])]


def _shorten(text: str) -> str:
    """An error's code and message without its request id, so that the same errors can be counted together."""
    try:
        error = json.loads(text)["error"]
        return f"{error['code']}: {error['message']}"[:_SHOWN]
    except (ValueError, KeyError, TypeError):
        return text[:_SHOWN]


def _check_error(code: str, answer: object) -> str | None:
    if problem := _mismatch(answer, _ERROR, "the answer"):
        return problem
    found: str = answer["error"]["code"]  # type: ignore[index]  # its form was checked
    return None if found == code else f"error code {found!r}, not {code!r}"


def _check_classes(found: Sequence[Any], expected: Sequence[str] | None) -> str | None:
    for index, one in enumerate(found):
        prediction = one["prediction"]
        if not 0 <= prediction["confidence"] <= 1:
            return f"confidence {prediction['confidence']} is not within 0 and 1"
        if prediction != one["top_3_predictions"][0]:
            return "the prediction is not the first of the top 3"
        if expected is not None and prediction["class"] != expected[index]:
            return f"class {prediction['class']!r}, not {expected[index]!r} as before the run"
    return None


def _mismatch(value: object, form: Any, where: str) -> str | None:  # noqa: ANN401 - a type, dict or list
    if isinstance(form, dict):
        if not isinstance(value, dict) or value.keys() != form.keys():
            return f"{where} is not an object of {', '.join(form)}"
        problems = (_mismatch(value[key], form[key], f"{where}'s {key}") for key in form)
    elif isinstance(form, list):
        if not isinstance(value, list):
            return f"{where} is not a list"
        problems = (_mismatch(one, form[0], f"an entry of {where}") for one in value)
    else:
        is_right = isinstance(value, form) and (form is bool or not isinstance(value, bool))
        # JSON writes 1.0 as 1 now and then
        is_right = is_right or (form is float and type(value) is int)
        return None if is_right else f"{where} is {value!r}, not a {getattr(form, '__name__', form)}"
    return next((problem for problem in problems if problem), None)
