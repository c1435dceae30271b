"""The same request as a whole, which goes the fast path, and in chunks, which the application answers."""

import http.client
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from tests.support import PICTURES, encode

CAT = (PICTURES / "cat.png").read_bytes()
PART = b'--edge\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n'
FORM = b"multipart/form-data; boundary=edge"
# That differ from request to request, or say how a body came.
_OWN = {"date", "server-timing"}


def form(*parts: tuple[bytes, bytes, bytes]) -> bytes:
    return b"".join(PART % part for part in parts) + b"--edge--\r\n"


def ask(
    client: httpx.Client, target: str, content_type: bytes, framed: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of the answer to a request whose framing header and body are `framed`."""
    address = urlsplit(str(client.base_url))
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
        head = b"POST %b HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\nContent-Type: %b\r\n"
        connection.sendall(head % (target.encode(), content_type) + framed)
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        headers = [(name.lower(), value) for name, value in answer.getheaders() if name.lower() not in _OWN]
        return answer.status, headers, answer.read()


def both(client: httpx.Client, target: str, content_type: bytes, body: bytes) -> int:
    """The status of an answer that is the same both ways."""
    whole = ask(client, target, content_type, b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    chunks = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    in_chunks = ask(client, target, content_type, b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks)
    assert whole == in_chunks
    return whole[0]


@pytest.mark.parametrize(
    "target",
    [
        "/classify",
        "/classify?model=cnn",
        "/classify/image",
        "/classify/image?model=resnet",
        "/classify/details?model=cnn",
    ],
)
def test_picture_gets_the_same_answer(target: str, client: httpx.Client) -> None:
    assert both(client, target, FORM, form((b"file", b"cat.png", CAT))) == 200
    assert both(client, target, b"image/png", CAT) == 200


def test_batch_gets_the_same_answer(client: httpx.Client) -> None:
    body = form((b"files", b"cat.png", CAT), (b"files", b"no.png", CAT[:100]), (b"files", b"b.png", CAT))
    assert both(client, "/classify/batch", FORM, body) == 200


def test_large_picture_in_a_small_file_gets_the_same_answer(client: httpx.Client) -> None:
    assert both(client, "/classify", b"image/png", encode(Image.new("L", (3000, 2000)))) == 200


@pytest.mark.parametrize(
    ("target", "content_type", "body", "status"),
    [
        ("/classify?modle=cnn", b"image/png", CAT, 422),
        ("/classify?model=cnn&model=cnn", b"image/png", CAT, 422),
        ("/classify?model=%C3%A4%00", b"image/png", CAT, 404),
        ("/classify", b"image/png", CAT[:1000], 422),
        ("/classify", b"image/png", b"", 400),
        ("/classify", b"text/plain", b"no picture", 415),
        ("/classify", FORM, b"", 400),
        ("/classify", FORM, b"no form", 400),
        ("/classify", FORM, form((b"file", b"a.png", CAT))[:-10], 400),
        ("/classify", FORM, form((b"file", b"a.png", b"")), 400),
        ("/classify", FORM, form((b"file", b"a.png", CAT), (b"file", b"b.png", CAT)), 422),
        ("/classify", FORM, form((b"picture", b"a.png", CAT)), 422),
        ("/classify/batch", b"image/png", CAT, 422),
        ("/classify/batch", FORM, form((b"file", b"a.png", CAT)), 422),
    ],
)
def test_what_is_wrong_gets_the_same_answer(
    target: str, content_type: bytes, body: bytes, status: int, client: httpx.Client
) -> None:
    assert both(client, target, content_type, body) == status
