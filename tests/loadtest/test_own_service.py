"""The default model of a service that tools start, whatever models a user has put beside ours."""

import json
from pathlib import Path

import pytest

from loadtest.address import Address
from loadtest.server import running_service
from loadtest.target import default_model, own_service
from tests.support import service_command


@pytest.mark.parametrize(("asked_for", "default"), [("", "resnet"), ("cnn", "cnn")])
def test_model_of_other_classes_beside_ours_is_in_nobodys_way(
    mixed: Path, asked_for: str, default: str
) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(mixed), "GLIMPSE_WORKERS": "1"}
    with own_service(service_command(), running_service, settings, asked_for) as service:
        models = json.loads(Address(service.url).get("/models").text)["models"]
    assert [model["name"] for model in models if model["default"]] == [default]


def test_default_model_that_is_set_or_not_ours_is_left_to_the_service(
    artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_model({"GLIMPSE_ARTIFACTS": str(tmp_path)}) == {}
    monkeypatch.setenv("GLIMPSE_DEFAULT_MODEL", "cnn")
    assert default_model({"GLIMPSE_ARTIFACTS": str(artifacts)}) == {}
