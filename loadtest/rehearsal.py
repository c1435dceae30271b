"""Payloads in, the classes that the service gives their pictures out, asked one by one before the load.

The expectation of a run is what the same service said when it had nothing else to do, and not what a picture
shows: a model may be wrong about a picture, and load must not change that. So that this is no blank cheque,
a model that knows the classes of our pictures has to be right about most of the small ones.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from loadtest.address import KEY_VARIABLE, Address, Answer, ServerError
from loadtest.answers import check_answer, classes_of
from loadtest.payloads import Payload, for_model
from loadtest.scenarios import CIFAR

_SECONDS = 30
_LEAST_RIGHT = 0.7


def rehearse(address: Address, payloads: Iterable[Payload], model: str = "") -> dict[str, list[str]]:
    """The class of each picture of a payload, by the payload's key; bad files have none.

    Raises:
        ServerError: an answer is not as it has to be, or the model is wrong about most pictures.
    """
    everything = list(payloads)
    expected = {}
    for payload in everything:
        path = for_model(payload.path, model)
        answer = address.post(path, payload.body, payload.content_type, _SECONDS)
        _check_key(address, answer)
        if problem := check_answer(payload, answer.status, answer.text, None):
            raise ServerError(f"{address.url}{path}, asked for a {payload.key}: {problem}")
        if payload.code is None:
            expected[payload.key] = classes_of(answer.text)
    _check_right(address.url, everything, expected, _classes(address, model))
    return expected


def _check_key(address: Address, answer: Answer) -> None:
    if answer.status == 401:
        wrong = "takes another key than the one given" if address.key else "asks for a key"
        raise ServerError(f"{address.url} {wrong}: give one that it knows by {KEY_VARIABLE} or --key")


def _classes(address: Address, model: str) -> Sequence[str]:
    path = for_model("/classes", model)
    try:
        names: Sequence[str] = json.loads(address.get(path, _SECONDS).text)["classes"]
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(f"{address.url}{path} does not name the model's classes: {error}") from error
    return names


def _check_right(
    url: str, payloads: Sequence[Payload], expected: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> None:
    small = [payload for payload in payloads if payload.kind == CIFAR]
    if not small or not {payload.shows[0] for payload in small} <= set(classes):
        return
    right = sum(expected[payload.key][0] == payload.shows[0] for payload in small)
    if right < _LEAST_RIGHT * len(small):
        raise ServerError(f"{url} is right about {right} of our {len(small)} pictures: serve a trained model")
