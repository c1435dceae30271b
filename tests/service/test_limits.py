"""Bodies of every kind, against the real service."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from loadtest.server import running_service
from tests.support import PICTURES, counted, encode, eventually, service_command

CAT = (PICTURES / "cat.png").read_bytes()
MULTIPART = {"Content-Type": "multipart/form-data; boundary=edge"}


def refusal(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert error["request_id"] == response.headers["x-request-id"]
    return response.status_code, error["code"]


def test_form_and_bare_body_get_the_same_answer(client: httpx.Client) -> None:
    form = client.post("/classify", files={"file": ("cat.png", CAT)}).json()
    bare = client.post("/classify", content=CAT, headers={"Content-Type": "image/png"}).json()
    assert (form.pop("filename"), bare.pop("filename")) == ("cat.png", None)
    assert form == bare


def test_wrong_content_type_of_a_right_picture_is_accepted(client: httpx.Client) -> None:
    assert client.post("/classify", content=CAT, headers={"Content-Type": "text/plain"}).status_code == 200


@pytest.mark.parametrize("name", ["../../etc/passwd", "кот.png", "a" * 1000, 'quo"te.png'])
def test_file_name_is_echoed_as_sent(name: str, client: httpx.Client) -> None:
    answer = client.post("/classify", files={"file": (name, CAT)})
    assert answer.json()["filename"] == name.replace('"', "%22")  # as httpx escapes it in a form


def test_empty_body_is_refused(client: httpx.Client) -> None:
    assert refusal(client.post("/classify")) == (400, "empty_body")


def test_form_without_boundary_is_refused(client: httpx.Client) -> None:
    response = client.post("/classify", content=b"x", headers={"Content-Type": "multipart/form-data"})
    assert refusal(response) == (400, "malformed_multipart")


@pytest.mark.parametrize(
    "body", [b"no boundary here", b"--edge\r\nContent-Disposition: form-data\r\n\r\n\r\n--edge--\r\n"]
)
def test_malformed_form_is_refused(body: bytes, client: httpx.Client) -> None:
    assert refusal(client.post("/classify", content=body, headers=MULTIPART)) == (400, "malformed_multipart")


def test_form_that_breaks_off_is_refused(client: httpx.Client) -> None:
    body = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + CAT[:1000]
    assert refusal(client.post("/classify", content=body, headers=MULTIPART)) == (400, "malformed_multipart")


@pytest.mark.parametrize("charset", ["undefined", "punycode", "utf-7", "unicode_escape", "none-such"])
def test_form_in_another_charset_is_refused(charset: str, client: httpx.Client) -> None:
    name = b"+2AA-.png" if charset == "utf-7" else b"\\ud800.png"
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\n'
    form = {"Content-Type": f"multipart/form-data; boundary=edge; charset={charset}"}
    response = client.post("/classify", content=head + CAT + b"\r\n--edge--\r\n", headers=form)
    assert refusal(response) == (400, "malformed_multipart")
    assert charset in response.json()["error"]["message"]


def test_form_with_text_after_its_end_is_read(client: httpx.Client) -> None:
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    body = head + CAT + b"\r\n--edge--\r\nto be ignored"
    assert client.post("/classify", content=body, headers=MULTIPART).status_code == 200


def test_empty_file_in_a_form_is_refused(client: httpx.Client) -> None:
    assert refusal(client.post("/classify", files={"file": ("a.png", b"")})) == (400, "empty_body")


def test_two_files_for_one_picture_are_refused(client: httpx.Client) -> None:
    response = client.post("/classify", files=[("file", CAT), ("file", CAT)])
    assert refusal(response) == (422, "too_many_images")


def test_text_beside_the_file_does_not_hide_it(client: httpx.Client) -> None:
    answer = client.post("/classify", files={"file": ("cat.png", CAT)}, data={"file": "note"})
    assert answer.status_code == 200


def test_caller_that_hangs_up_is_no_failure_of_the_service(server: str, client: httpx.Client) -> None:
    for _ in range(3):
        connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=5)
        connection.putrequest("POST", "/classify")
        connection.putheader("Content-Length", "5000")
        connection.endheaders(b"abc")
        connection.close()
    given_up = {"route": "/classify", "status": "499"}
    assert eventually(lambda: counted(client, "glimpse_requests_total", **given_up) == 3)
    assert counted(client, "glimpse_requests_total", status="500") == 0


def test_form_without_the_file_field_is_refused(client: httpx.Client) -> None:
    assert refusal(client.post("/classify", files={"picture": CAT})) == (422, "missing_file")


def test_text_in_the_file_field_is_refused(client: httpx.Client) -> None:
    body = b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--edge--\r\n'
    assert refusal(client.post("/classify", content=body, headers=MULTIPART)) == (422, "missing_file")


def test_batch_without_a_form_is_refused(client: httpx.Client) -> None:
    assert refusal(client.post("/classify/batch", content=CAT)) == (422, "missing_file")


def test_batch_over_the_limit_names_its_setting(client: httpx.Client) -> None:
    response = client.post("/classify/batch", files=[("files", CAT)] * 65)
    assert refusal(response) == (422, "too_many_images")
    assert "more than 64 files (GLIMPSE_MAX_BATCH)" in response.json()["error"]["message"]


def test_too_large_body_names_its_setting(client: httpx.Client) -> None:
    response = client.post("/classify", content=bytes(10_000_001))
    assert refusal(response) == (413, "body_too_large")
    assert "10000000 bytes (GLIMPSE_MAX_BODY_BYTES)" in response.json()["error"]["message"]


def test_stream_without_a_length_is_refused_once_it_passes_the_limit(client: httpx.Client) -> None:
    response = client.post("/classify", content=iter([bytes(1_000_000)] * 11))
    assert refusal(response) == (413, "body_too_large")


def test_declared_length_over_the_limit_is_refused_before_the_body_comes(server: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=5)
    connection.putrequest("POST", "/classify")
    connection.putheader("Content-Length", "99999999999")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_pictures_count_as_held_until_their_answer(artifacts: Path) -> None:
    settings = {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_WORKERS": "1",
        "GLIMPSE_MAX_BUFFERED_BYTES": "1000000",
        "GLIMPSE_BATCH_SECONDS": "2",
    }
    slow = encode(Image.new("L", (7000, 7000)))
    batch = [("files", ("large.png", slow))] * (900_000 // len(slow))
    with (
        running_service(service_command(), settings) as service,
        httpx.Client(base_url=service.url, timeout=30) as http,
        ThreadPoolExecutor(1) as pool,
    ):

        def is_full() -> bool:
            response = http.post("/classify", content=bytes(200_000))
            return response.status_code == 503 and "GLIMPSE_MAX_BUFFERED_BYTES" in response.text

        in_flight = pool.submit(httpx.post, f"{service.url}/classify/batch", files=batch, timeout=30)
        assert eventually(is_full)
        time.sleep(0.5)  # long after the last of it came
        assert is_full()
        in_flight.result()
        assert eventually(lambda: not is_full())
