import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from loadtest.answers import check_answer, classes_of
from loadtest.payloads import Payload, build_payloads
from loadtest.scenarios import BAD, BATCH, CIFAR
from tests.loadtest.stub import classification

CAT = Payload("png cat", CIFAR, "/classify", "", b"", ("cat",))
PAIR = Payload("pair", BATCH, "/classify/batch", "", b"", ("cat", "dog"))
TEXT = Payload("text", BAD, "/classify", "", b"", (), 415, "unsupported_format")


def test_right_answer_has_no_problem() -> None:
    assert check_answer(CAT, 200, json.dumps(classification("cat")), ["cat"]) is None


def test_another_class_than_before_the_run_is_a_problem() -> None:
    problem = check_answer(CAT, 200, json.dumps(classification("dog")), ["cat"])
    assert problem == "class 'dog', not 'cat' as before the run"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda answer: answer.pop("prediction_set"), "is not an object of filename, prediction"),
        (lambda answer: answer.update(extra=1), "is not an object of filename, prediction"),
        (lambda answer: answer.update(low_confidence=1), "low_confidence is 1, not a bool"),
        (lambda answer: answer["model"].update(version=2), "version is 2, not a str"),
        (lambda answer: answer["prediction_set"].append(None), "prediction_set is None, not a str"),
        (lambda answer: answer["prediction"].update(confidence=1.5), "1.5 is not within 0 and 1"),
        (
            lambda answer: answer.update(prediction={**answer["prediction"], "class": "dog"}),
            "is not the first of the top 3",
        ),
    ],
)
def test_answer_of_another_form_is_a_problem(spoil: Callable[[Any], object], says: str) -> None:
    answer = copy.deepcopy(classification("cat"))
    spoil(answer)
    assert says in (check_answer(CAT, 200, json.dumps(answer), ["cat"]) or "")


@pytest.mark.parametrize(
    ("status", "text", "says"), [(503, "busy", "status 503, not 200: busy"), (200, "<", "no JSON")]
)
def test_other_status_or_no_json_is_a_problem(status: int, text: str, says: str) -> None:
    assert says in (check_answer(CAT, status, text, None) or "")


def test_errors_are_told_without_their_request_ids_so_that_they_can_be_counted() -> None:
    answer = {"error": {"code": "overloaded", "message": "try again", "request_id": "12ab"}}
    problem = check_answer(CAT, 503, json.dumps(answer), None)
    assert problem == "status 503, not 200: overloaded: try again"


def test_each_picture_of_a_batch_is_checked() -> None:
    answer = {"results": [classification("cat"), classification("cat")], "count": 2, "failed": 0}
    assert check_answer(PAIR, 200, json.dumps(answer), ["cat", "cat"]) is None
    assert check_answer(PAIR, 200, json.dumps(answer), ["cat", "dog"])
    del answer["results"][1:]
    assert check_answer(PAIR, 200, json.dumps(answer), None) == "1 results for 2 pictures"


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (415, "unsupported_format", None),
        (415, "no", "error code 'no', not 'unsupported_format'"),
        (200, "", "status 200, not 415"),
    ],
)
def test_bad_file_has_to_get_its_own_error(status: int, code: str, says: str | None) -> None:
    answer = json.dumps({"error": {"code": code, "message": "no", "request_id": "1"}})
    problem = check_answer(TEXT, status, answer, None)
    assert problem is None if says is None else says in (problem or "")


def test_classes_are_read_from_single_answers_and_batches() -> None:
    assert classes_of(json.dumps(classification("cat"))) == ["cat"]
    assert classes_of(json.dumps({"results": [classification("cat"), classification("dog")]})) == [
        "cat",
        "dog",
    ]


def test_bodies_are_the_same_each_time_so_that_workers_elsewhere_send_the_same() -> None:
    kinds = [CIFAR, "jpeg 640x480"]
    assert build_payloads(kinds) == build_payloads(kinds)
