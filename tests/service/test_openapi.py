"""The OpenAPI document against the failures that the code knows and the answers that the service gives."""

import asyncio
import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema_rs
import pytest
from PIL import Image

from service.app import create_app
from service.buffer import Buffer
from service.call import Call, StreamedBody
from service.errors import BodyTimeout, Overloaded
from service.lane import LoopLane
from service.limits import read_picture
from service.settings import Settings
from service.trace import Trace
from tests.support import PICTURES, callers_failures, encode

CAT = (PICTURES / "cat.png").read_bytes()
CLASSIFY = ("/classify", "/classify/image", "/classify/details", "/classify/batch")

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(artifacts: Path) -> Document:
    """Of a service with keys, where most can happen."""
    return create_app(Settings(artifacts=artifacts, api_keys="key")).openapi()


@pytest.fixture(scope="module")
def open_document(client: httpx.Client) -> Document:
    """Of a service without keys."""
    answer: Document = client.get("/openapi.json").json()
    return answer


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def answers(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Path, status and what is said of the body."""
    for path, operation in operations(document):
        for status, response in operation["responses"].items():
            content = dict(response["content"])
            content.pop("text/html", None)  # the page is for people
            (media,) = content.values()
            yield path, status, media


def examples(media: Document) -> list[Any]:
    return [one["value"] for one in media.get("examples", {}).values()] or [media["example"]]


def errors(document: Document) -> dict[str, Document]:
    """Every documented error by its code."""
    return {
        example["error"]["code"]: {"status": int(status), **example["error"]}
        for path, status, media in answers(document)
        for example in examples(media)
        if "error" in example and path != "/classify/batch"
    }


def test_every_failure_is_documented_and_no_other(document: Document) -> None:
    shown = {(error["status"], code) for code, error in errors(document).items()}
    assert shown == callers_failures() | {(500, "internal_error")}


@pytest.mark.parametrize("path", CLASSIFY)
def test_classifying_documents_every_status(path: str, document: Document) -> None:
    alone = {"415"} if path != "/classify/batch" else set()  # in a batch a bad picture fails alone
    expected = {"200", "400", "401", "404", "408", "413", "422", "500", "503"} | alone
    assert set(document["paths"][path]["post"]["responses"]) == expected


def test_every_example_is_as_its_schema_says(document: Document) -> None:
    for path, status, media in answers(document):
        schema = {**media["schema"], "components": document["components"]}
        for example in examples(media):
            assert jsonschema_rs.is_valid(schema, example), (path, status, example)


def test_keys_are_documented_where_they_are_asked_for(document: Document, open_document: Document) -> None:
    asking = {path for path, operation in operations(document) if "security" in operation}
    assert asking == {*CLASSIFY, "/classes", "/model/info", "/model/examples", "/models", "/metrics"}
    assert asking == {path for path, status, _ in answers(document) if status == "401"}
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    assert "securitySchemes" not in open_document["components"]
    assert "unauthorized" not in errors(open_document)


def test_headers_are_documented(document: Document) -> None:
    for path, operation in operations(document):
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"]
            assert ("Retry-After" in response["headers"]) == (status == "503" and path in CLASSIFY)
            assert ("WWW-Authenticate" in response["headers"]) == (status == "401")


def shape(value: object) -> object:
    """The keys of all objects in it."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    return [shape(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else None


def test_examples_look_like_real_answers(open_document: Document, client: httpx.Client) -> None:
    for path, status, media in answers(open_document):
        if status != "200" or path == "/metrics":
            continue
        if path == "/classify/batch":
            sent = [("files", ("cat.png", CAT)), ("files", ("notes.txt", b"notes"))]
            answer = client.post(path, files=sent)
        elif path in CLASSIFY:
            answer = client.post(path, content=CAT)
        else:
            answer = client.get(path)
        assert shape(media["example"]) == shape(answer.json()), path


PROVOKED: dict[str, dict[str, Any]] = {
    "empty_body": {"content": b""},
    "malformed_multipart": {
        "content": b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + CAT[:99],
        "headers": {"Content-Type": "multipart/form-data; boundary=edge"},
    },
    "missing_file": {"files": {"picture": CAT}},
    "unexpected_field": {"files": {"file": CAT}, "data": {"model": "cnn"}},
    "too_many_images": {"files": [("file", CAT), ("file", CAT)]},
    "unsupported_format": {"content": b"hello"},
    "undecodable_image": {"content": CAT[:20]},
    "image_too_large": {"content": encode(Image.new("L", (12001, 1)))},
    "unknown_model": {"content": CAT, "params": {"model": "vit"}},
    "wrong_argument": {"content": CAT, "params": {"modle": "cnn"}},
}


@pytest.mark.parametrize("code", PROVOKED)
def test_documented_sentence_is_what_is_said(
    code: str, open_document: Document, client: httpx.Client
) -> None:
    answer = client.post("/classify", **PROVOKED[code])
    said = {"status": answer.status_code, **answer.json()["error"], "request_id": ""}
    assert said == {**errors(open_document)[code], "request_id": ""}


def test_documented_sentence_of_a_large_body_is_what_is_said(open_document: Document, server: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=10)
    connection.request("POST", "/classify", headers={"Content-Length": "10000001"})
    assert errors(open_document)["body_too_large"]["message"] in connection.getresponse().read().decode()
    connection.close()


def test_documented_sentence_of_an_overload_is_what_is_said(open_document: Document) -> None:
    lane = LoopLane(longest_wait=Settings().max_wait_ms / 1000)
    lane._unfinished, lane._mean_seconds = 10, 1.0
    with pytest.raises(Overloaded, match=re.escape(errors(open_document)["overloaded"]["message"])):
        lane.check()


def test_documented_sentence_of_a_slow_body_is_what_is_said(open_document: Document) -> None:
    async def never() -> Any:  # noqa: ANN401 - it gives nothing
        await asyncio.sleep(60)

    call = Call(Trace(), b"", "image/png", StreamedBody("", never), is_gone=never)
    with pytest.raises(BodyTimeout) as raised, Buffer(1000).body() as received:
        asyncio.run(read_picture(call, Settings(stall_seconds=0.01), received, lambda: None))
    assert numberless(raised.value.message) == numberless(errors(open_document)["body_timeout"]["message"])


def numberless(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "N", text)


def test_arguments_name_what_is_loaded(open_document: Document, artifacts: Path) -> None:
    versions = sorted({path.parent.name for path in artifacts.glob("*/*/manifest.json")})
    parameters = open_document["paths"]["/classify"]["post"]["parameters"]
    assert [(one["name"], one["schema"]["enum"]) for one in parameters] == [
        ("model", ["cnn", "resnet"]),
        ("version", versions),
    ]


@pytest.mark.parametrize("query", ["modle=cnn", "model=cnn&model=cnn", "model=cnn&page=1"])
@pytest.mark.parametrize("path", ["/classes", "/model/info"])
def test_unknown_and_repeated_arguments_are_refused(path: str, query: str, client: httpx.Client) -> None:
    answer = client.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "wrong_argument")


@pytest.mark.parametrize("path", ["/", "/health", "/health/ready", "/classes", "/metrics", "/docs"])
def test_head_answers_as_get_without_its_body(path: str, client: httpx.Client) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "allow"), [("PUT", "/health", "GET, HEAD"), ("HEAD", "/classify", "POST")]
)
def test_method_not_allowed_names_those_that_are(
    method: str, path: str, allow: str, client: httpx.Client
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
