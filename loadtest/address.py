"""A service's URL and key in, its answers out: how all but the load itself asks it."""

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

KEY_VARIABLE, KEY_HEADER = "GLIMPSE_KEY", "X-API-Key"
_SECONDS = 5


class ServerError(Exception):
    """The service did not start, is not there, or does not answer as it has to."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    text: str


@dataclass(frozen=True)
class Address:
    """Where a service is; `url` has no slash at its end, and `key` is shown nowhere."""

    url: str
    key: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What each request to it needs."""
        return {KEY_HEADER: self.key} if self.key else {}

    def get(self, path: str, seconds: float = _SECONDS) -> Answer:
        """What it answers, whatever the status.

        Raises:
            ServerError: it answers nothing.
        """
        return self._ask(urllib.request.Request(self.url + path, headers=self.headers), seconds)  # noqa: S310

    def post(self, path: str, body: bytes, content_type: str, seconds: float = _SECONDS) -> Answer:
        """What it answers to this body, whatever the status.

        Raises:
            ServerError: it answers nothing.
        """
        headers = {**self.headers, "Content-Type": content_type}
        return self._ask(urllib.request.Request(self.url + path, body, headers), seconds)  # noqa: S310

    def _ask(self, request: urllib.request.Request, seconds: float) -> Answer:
        try:
            try:
                answer = _OPENER.open(request, timeout=seconds)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                return Answer(answer.status, answer.read().decode(errors="replace"))
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{self.url} does not answer: {getattr(error, 'reason', error)}") from error


def parse_address(url: str, key: str = "") -> Address:
    """The address that a user gave.

    Raises:
        ServerError: it can't be one of a service.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ServerError(f"{url!r} is no service's URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ServerError(f"{url!r} is no service's URL: it must start with http:// or https:// and a host")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ServerError(f"{url!r} is no service's URL: it has characters that can't stand in one")
    if parts.username is not None or parts.query or parts.fragment:
        raise ServerError(
            f"the service's URL at {parts.hostname} has a user, a query or a fragment, which can't stand "
            f"there: give the key by {KEY_VARIABLE} or --key, and the model by --model"
        )
    return Address(url.rstrip("/"), key)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A load would go to the place that was named, and not to the one that it names."""

    def redirect_request(self, *_: object) -> None:
        """Take the answer as it is."""


# Straight to the service, as the load goes: by no proxy of the environment.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
