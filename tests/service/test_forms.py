"""Forms as clients send them, and what is read of them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import forms
from service.errors import BodyError, MalformedMultipart, TooManyImages
from service.forms import Upload, read_form

HEAD = b'Content-Disposition: form-data; name="file"; filename="a.png"'


def form(head: bytes = HEAD, data: bytes = b"data", edge: bytes = b"edge", after: bytes = b"--\r\n") -> bytes:
    return b"--" + edge + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n--" + edge + after


def read(body: bytes, content_type: str = "multipart/form-data; boundary=edge") -> list[Upload]:
    return asyncio.run(read_form(content_type, body, "file", 4))


def outcome(body: bytes, content_type: str) -> object:
    try:
        return read(body, content_type)
    except BodyError as error:
        return error.code, error.message


@pytest.mark.parametrize(
    "head",
    [
        HEAD,
        HEAD + b"\r\nContent-Type: image/svg+xml",
        HEAD.lower() + b"\r\ncontent-type: image/png",
        HEAD.replace(b"a.png", b"a cat; on [a] mat's 100%25.png"),
    ],
)
@pytest.mark.parametrize("data", [b"", b"\r\n\r\n--edg\r\n--", b"\x89PNG\r\n\x1a\n"])
@pytest.mark.parametrize("after", [b"--", b"--\r\n"])
def test_plain_form_is_read_without_the_parser(
    head: bytes, data: bytes, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = form(head, data, after=after)
    with monkeypatch.context() as patch:
        patch.setattr(forms, "_read_plain", lambda *_: None)
        parsed = read(body)
    monkeypatch.setattr(forms, "_parse", None)
    assert read(body) == parsed


@pytest.mark.parametrize("count", [2, 4])
def test_plain_form_of_several_files_is_read_without_the_parser(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [
        b"--edge\r\n" + HEAD.replace(b"a.png", b"%d.png" % number) + b"\r\n\r\n\r\n%d\r\n" % number
        for number in range(count)
    ]
    monkeypatch.setattr(forms, "_parse", None)
    assert read(b"".join(parts) + b"--edge--\r\n") == [
        Upload(f"{number}.png", b"\r\n%d" % number) for number in range(count)
    ]


def test_more_files_than_are_allowed_are_refused_in_a_plain_form_too() -> None:
    part = b"--edge\r\n" + HEAD + b"\r\n\r\nx\r\n"
    with pytest.raises(TooManyImages):
        read(part * 5 + b"--edge--")


PIECES = st.lists(
    st.sampled_from(
        [
            *(
                b"--edge",
                b"--edge--",
                b"\r\n",
                b"\r\n\r\n",
                b"\n",
                b"--",
                b"edge",
                b"x",
                b"\xff",
                b" ",
                b'"',
                b"\\",
            ),
            *(HEAD, HEAD + b"\r\nContent-Type: image/png", HEAD.replace(b"a.png", b"")),
            *(HEAD.replace(b'"file"', b'"other"'), HEAD.replace(b'"a.png"', b"a.png")),
            *(HEAD.replace(b"a.png", b"\xc3\xa9%22;.png"), HEAD + b"; filename*=utf-8''b.png"),
            *(b'Content-Disposition: form-data; name="file"', b"Content-Transfer-Encoding: base64\r\n"),
        ]
    ),
    max_size=12,
).map(b"".join)
TYPES = st.sampled_from(
    [
        *("multipart/form-data; boundary=edge", "multipart/form-data; boundary=edg", "multipart/form-data"),
        *("multipart/form-data; boundary=edge; charset=utf-16", 'multipart/form-data; boundary="edge"'),
        "multipart/mixed; boundary=edge",
    ]
)


def forms_of_parts(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(form(head or HEAD, data, after=b"\r\n") for head, data in parts)[:-2] + b"--\r\n"


@given(
    st.one_of(PIECES, st.lists(st.tuples(PIECES, PIECES), min_size=1, max_size=6).map(forms_of_parts)), TYPES
)
def test_whatever_is_sent_comes_out_as_the_parser_has_it(body: bytes, content_type: str) -> None:
    short_cut = outcome(body, content_type)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "_read_plain", lambda *_: None)
        assert short_cut == outcome(body, content_type)


@pytest.mark.parametrize(
    "head", [HEAD.replace(b"a.png", b"a" * 5000), HEAD + b"\r\nContent-Type: " + b"a" * 5000]
)
def test_line_that_is_too_long_is_refused_in_a_plain_form_too(head: bytes) -> None:
    with pytest.raises(MalformedMultipart):
        read(form(head))
