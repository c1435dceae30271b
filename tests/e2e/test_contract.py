"""The HTTP contract, against the real service on the committed bundles."""

import base64
import io
import json
import platform
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from service.bundle import Manifest
from service.imaging import decode
from tests.support import PICTURES, counted, encode, eventually, gradient

CAT = (PICTURES / "cat.png").read_bytes()
MODELS = ["resnet", "cnn"]


@pytest.mark.parametrize("model", MODELS)
def test_classify_describes_the_picture(model: str, client: httpx.Client, artifacts: Path) -> None:
    answer = client.post(f"/classify?model={model}", files={"file": ("cat.png", CAT)}).json()
    assert answer.keys() == {
        "filename", "prediction", "top_3_predictions", "prediction_set", "low_confidence", "model"
    }  # fmt: skip
    manifest = newest_manifest(artifacts / model)
    assert answer["model"] == {"name": model, "version": manifest.version}
    best = answer["prediction"]
    assert best == answer["top_3_predictions"][0]
    assert best.keys() == {"class", "class_index", "confidence"}
    assert manifest.class_names[best["class_index"]] == best["class"]
    confidences = [one["confidence"] for one in answer["top_3_predictions"]]
    assert len(confidences) == 3
    assert 1 >= confidences[0] >= confidences[1] >= confidences[2] >= 0
    assert set(answer["prediction_set"]) <= set(manifest.class_names)


def test_pictures_of_each_class_are_mostly_recognised(client: httpx.Client) -> None:
    paths = sorted(PICTURES.glob("*.png"))
    answers = [client.post("/classify", content=path.read_bytes()).json() for path in paths]
    right = sum(
        answer["prediction"]["class"] == path.stem for answer, path in zip(answers, paths, strict=True)
    )
    assert right >= 8, [answer["prediction"] for answer in answers]


@pytest.mark.parametrize("model", MODELS)
def test_short_answer_has_every_class(model: str, client: httpx.Client) -> None:
    answer = client.post(f"/classify/image?model={model}", content=CAT).json()
    assert answer.keys() == {"class", "confidence", "all_probabilities"}
    assert list(answer["all_probabilities"]) == client.get(f"/classes?model={model}").json()["classes"]
    assert sum(answer["all_probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert answer["confidence"] == max(answer["all_probabilities"].values())


@pytest.mark.parametrize("model", MODELS)
def test_details_are_both_answers_and_what_the_model_saw(
    model: str, client: httpx.Client, artifacts: Path
) -> None:
    whole, short, details = (
        client.post(f"/classify{form}?model={model}", content=CAT).json()
        for form in ("", "/image", "/details")
    )
    seen = base64.b64decode(details.pop("seen").removeprefix("data:image/png;base64,"))
    assert details == {**whole, "all_probabilities": short["all_probabilities"]}
    size = newest_manifest(artifacts / model).input
    expected = decode(CAT, size.height, size.width)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(seen))), expected)


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
    ],
)
def test_every_accepted_format_is_answered(
    file_format: str, options: dict[str, object], client: httpx.Client
) -> None:
    name = f"picture.{file_format.lower()}"
    response = client.post("/classify", files={"file": (name, encode(gradient(), file_format, **options))})
    assert response.status_code == 200
    assert response.json()["filename"] == name


def test_batch_answers_in_order_and_one_bad_picture_fails_alone(client: httpx.Client) -> None:
    sent = [("files", ("a.png", CAT)), ("files", ("bad.png", CAT[:100])), ("files", ("text.txt", b"hello"))]
    answer = client.post("/classify/batch", files=[*sent, ("files", ("b.png", CAT))]).json()
    assert (answer["count"], answer["failed"]) == (4, 2)
    assert [result["filename"] for result in answer["results"]] == ["a.png", "bad.png", "text.txt", "b.png"]
    first, bad, text, last = answer["results"]
    assert bad["error"]["code"] == "undecodable_image"
    assert text["error"]["code"] == "unsupported_format"
    assert first["prediction"]["class_index"] == last["prediction"]["class_index"]
    assert first["prediction"]["confidence"] == pytest.approx(last["prediction"]["confidence"], abs=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"hello", 415, "unsupported_format"),
        (encode(gradient(), "PPM"), 415, "unsupported_format"),
        (CAT[:200], 422, "undecodable_image"),
    ],
)
def test_bad_picture_gets_one_clear_error(body: bytes, status: int, code: str, client: httpx.Client) -> None:
    response = client.post("/classify", content=body)
    assert response.status_code == status
    assert response.json()["error"].keys() == {"code", "message", "request_id"}
    assert response.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("/classify?model=vit", "model 'vit' is not loaded: choose one of cnn, resnet"),
        ("/classify?model=cnn&version=99", "model 'cnn' has no version '99': choose one of"),
    ],
)
def test_unknown_model_names_those_loaded(call: str, says: str, client: httpx.Client) -> None:
    response = client.post(call, content=CAT)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "unknown_model"
    assert says in response.json()["error"]["message"]


def test_classes_models_and_info_come_from_the_manifests(client: httpx.Client, artifacts: Path) -> None:
    models = client.get("/models").json()["models"]
    assert sorted(model["name"] for model in models) == sorted(MODELS)
    assert [model["name"] for model in models if model["default"]] == ["resnet"]
    for model in MODELS:
        manifest = newest_manifest(artifacts / model)
        assert client.get(f"/classes?model={model}").json()["classes"] == list(manifest.class_names)
        info = client.get(f"/model/info?model={model}").json()
        assert Manifest.model_validate(info["manifest"]) == manifest
        assert info["variant"] == "int8"


def test_health_names_the_models(client: httpx.Client) -> None:
    health = client.get("/health").json()
    assert (health["status"], health["ready"]) == ("ok", True)
    assert sorted(model["name"] for model in health["models"]) == sorted(MODELS)
    assert client.get("/health/live").json() == client.get("/health/ready").json() == {"status": "ok"}


def test_index_lists_endpoints_that_exist(client: httpx.Client) -> None:
    index = client.get("/").json()
    documented = client.get("/openapi.json").json()["paths"]
    for endpoint in index["endpoints"]:
        method, path = endpoint.split()
        assert method.lower() in documented[path]
    assert client.get(index["docs"]).status_code == 200


def test_unknown_path_and_method_are_errors_in_our_form(client: httpx.Client) -> None:
    missing, wrong = client.get("/nowhere"), client.get("/classify")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


def test_metrics_count_requests_and_predictions(client: httpx.Client) -> None:
    answer = client.post("/classify", content=CAT).json()
    model, best = answer["model"], answer["prediction"]["class"]
    requests = {"route": "/classify", "status": "200", "model": model["name"], "version": model["version"]}
    predictions = {"model": model["name"], "version": model["version"], "predicted": best}

    def count() -> tuple[float, float]:
        return (
            counted(client, "glimpse_requests_total", **requests),
            counted(client, "glimpse_predictions_total", **predictions),
        )

    assert eventually(lambda: count()[0] >= 1)
    before = count()
    for _ in range(3):
        client.post("/classify", content=CAT)
    assert eventually(lambda: count() == (before[0] + 3, before[1] + 3)), count()


def test_metrics_describe_what_runs(client: httpx.Client) -> None:
    client.post("/classify", content=CAT)
    assert counted(client, "glimpse_build_info", python=platform.python_version()) == 1
    assert counted(client, "glimpse_model_loaded", model="resnet", variant="int8") == 1
    assert counted(client, "glimpse_workers") >= 1
    for stage in ("read", "queue", "decode", "infer"):
        assert counted(client, "glimpse_stage_seconds_count", stage=stage) >= 1
    assert counted(client, "glimpse_confidence_count", model="resnet") >= 1


def test_paths_that_do_not_exist_share_one_metric(client: httpx.Client) -> None:
    client.get("/made-up-path")
    assert "made-up-path" not in client.get("/metrics").text


def test_answers_carry_their_id_and_timings(client: httpx.Client) -> None:
    response = client.post("/classify", content=CAT, headers={"X-Request-ID": "my-id.1"})
    assert response.headers["x-request-id"] == "my-id.1"
    stages = [part.split(";")[0] for part in response.headers["server-timing"].split(", ")]
    assert stages == ["read", "queue", "decode", "infer", "total"]


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/nowhere", 404), ("/classify", 405)])
def test_every_answer_says_how_long_it_took(path: str, status: int, client: httpx.Client) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert response.headers["server-timing"].startswith("total;dur=")


def test_path_with_one_slash_too_many_does_not_exist(client: httpx.Client) -> None:
    response = client.get("/health/", headers={"Host": "evil.example"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_unsafe_request_id_is_replaced(client: httpx.Client) -> None:
    response = client.get("/health", headers={"X-Request-ID": "x" * 200})
    assert len(response.headers["x-request-id"]) == 32


def newest_manifest(folder: Path) -> Manifest:
    newest = max(folder.iterdir(), key=lambda version: int(version.name))
    return Manifest.model_validate(json.loads((newest / "manifest.json").read_text()))
