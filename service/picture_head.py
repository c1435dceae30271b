"""A request's head in, what is to be known of it where it brings pictures out."""

from collections.abc import Sequence
from typing import NamedTuple

_MOST_QUERY_BYTES = 1024
_PATHS = frozenset({b"/classify", b"/classify/image", b"/classify/details", b"/classify/batch"})


class PictureHead(NamedTuple):
    """The head of a request that brings pictures, and comes from no browser's page."""

    path: str
    query: bytes
    headers: dict[bytes, bytes]  # by their names in lower case; of those given twice the last one


def read_head(method: bytes, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> PictureHead | None:
    """What the head says; None for what only the application knows how to answer.

    That is all with other or very long addresses, and what browsers send for pages: answers to other sites
    need headers of their own.
    """
    path, _, query = url.partition(b"?")
    if method != b"POST" or path not in _PATHS or len(query) > _MOST_QUERY_BYTES:
        return None
    given = dict(headers)
    if b"origin" in given:
        return None
    return PictureHead(path.decode("ascii"), query, given)
