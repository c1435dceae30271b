"""Payloads in, the classes that the service gives their pictures out, asked one by one before the load.

The expectation of a run is what the same service said when it had nothing else to do, and not what a picture
shows: a model may be wrong about a picture, and load must not change that. So that this is no blank cheque,
a model that knows the classes of our pictures has to be right about most of the small ones.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence

from loadtest.answers import check_answer, classes_of
from loadtest.payloads import Payload, for_model
from loadtest.scenarios import CIFAR
from loadtest.server import ServerError

_SECONDS = 30
_LEAST_RIGHT = 0.7


def rehearse(url: str, payloads: Iterable[Payload], model: str = "") -> dict[str, list[str]]:
    """The class of each picture of a payload, by the payload's key; bad files have none.

    Raises:
        ServerError: an answer is not as it has to be, or the model is wrong about most pictures.
    """
    everything = list(payloads)
    expected = {}
    for payload in everything:
        address = url + for_model(payload.path, model)
        status, text = _post(address, payload)
        if problem := check_answer(payload, status, text, None):
            raise ServerError(f"{address}, asked for a {payload.key}: {problem}")
        if payload.code is None:
            expected[payload.key] = classes_of(text)
    _check_right(url, everything, expected, _classes(url, model))
    return expected


def _classes(url: str, model: str) -> Sequence[str]:
    address = url + for_model("/classes", model)
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310
            names: Sequence[str] = json.load(answer)["classes"]
            return names
    except (OSError, ValueError, KeyError) as error:
        raise ServerError(f"{address} does not name the model's classes: {error}") from error


def _check_right(
    url: str, payloads: Sequence[Payload], expected: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> None:
    small = [payload for payload in payloads if payload.kind == CIFAR]
    if not small or not {payload.shows[0] for payload in small} <= set(classes):
        return
    right = sum(expected[payload.key][0] == payload.shows[0] for payload in small)
    if right < _LEAST_RIGHT * len(small):
        raise ServerError(f"{url} is right about {right} of our {len(small)} pictures: serve a trained model")


def _post(url: str, payload: Payload) -> tuple[int, str]:
    request = urllib.request.Request(url, payload.body, {"Content-Type": payload.content_type})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - checked before
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        raise ServerError(f"{url} does not answer: {error}") from error
