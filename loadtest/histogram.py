"""A service's /metrics in, its own view of the latency out, to hold the client's against."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.address import Address, ServerError

_NAME = "glimpse_request_seconds_bucket"
_SAMPLE = re.compile(rf"^{_NAME}{{(.*)}} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ROUTES = frozenset({"/classify", "/classify/batch"})
_TRIES, _PAUSE_SECONDS = 20, 0.05
_INFINITE = float("inf")

Buckets = dict[float, float]  # requests answered within so many milliseconds, by that bound


@dataclass(frozen=True)
class ServerView:
    """The server's p95 lies above `low` and not above `high`, in milliseconds; `estimate` is interpolated."""

    count: int
    low: float
    high: float
    estimate: float


def read_buckets(address: Address) -> Buckets | None:
    """The service's histogram of the classifying routes, summed over its workers; None where it has none."""
    try:
        answer = address.get("/metrics")
    except ServerError:
        return None
    return parse_buckets(answer.text) if answer.status == 200 else None


def read_before(address: Address) -> Buckets | None:
    """The histogram once it stands still, or soon after: what was answered last may not be counted yet."""
    buckets = read_buckets(address)
    for _ in range(_TRIES):
        time.sleep(_PAUSE_SECONDS)
        earlier, buckets = buckets, read_buckets(address)
        if buckets == earlier:
            break
    return buckets


def parse_buckets(text: str) -> Buckets | None:
    """Prometheus's text to buckets; None where it has no histogram of requests at all."""
    buckets: Buckets = {}
    for labels, value in _SAMPLE.findall(text):
        named = dict(_LABEL.findall(labels))
        bound = 1000 * float(named["le"])
        buckets[bound] = buckets.get(bound, 0.0) + (float(value) if named["route"] in _ROUTES else 0.0)
    return buckets or None


def read_after(address: Address, before: Mapping[float, float], requests: int) -> Buckets | None:
    """The histogram once it has `requests` more than `before`, or soon after: counting follows the answer."""
    buckets = None
    for _ in range(_TRIES):
        buckets = read_buckets(address)
        if buckets is None or buckets[max(buckets)] - before[max(before)] >= requests:
            break
        time.sleep(_PAUSE_SECONDS)
    return buckets


def view(
    before: Mapping[float, float], after: Mapping[float, float], share: float = 0.95
) -> ServerView | None:
    """What was added in between; None where that is nothing."""
    bounds = sorted(after)
    added = [after[bound] - before.get(bound, 0.0) for bound in bounds]
    total = added[-1]
    if total <= 0:
        return None
    index = next(index for index, count in enumerate(added) if count >= share * total)
    low, below = (bounds[index - 1], added[index - 1]) if index else (0.0, 0.0)
    inside = (share * total - below) / (added[index] - below)
    high = bounds[index]
    # Above the last finite bound nothing more is known.
    estimate = low + inside * (high - low) if high != _INFINITE else low
    return ServerView(int(total), low, high, estimate)


def reconcile(client_p95: float, lag_p95: float, sent: int, server: ServerView | None) -> list[str]:
    """Sentences on how the client's p95 and the server's fit; the last warns where they don't.

    The client counts from when a request was due to the last byte read, so with its own lag, the connection
    and the kernel's queues; the server from a request's headers to the answer's last byte.
    """
    if server is None:
        return ["the service's /metrics has no histogram of these requests: its view of the p95 is not known"]
    client = f"the client's, from when a request was due, is {client_p95:.1f} ms"
    found = [f"the server's own p95 is {_range(server)}; {client}"]
    if server.count != sent:
        found.append(f"WARNING: the server counted {server.count} requests, but {sent} were answered to us")
    if apart := _apart(client_p95, server):
        found.append(f"WARNING: they are {apart}: {_reason(client_p95, lag_p95, server)}")
    return found


def _range(server: ServerView) -> str:
    if server.high == _INFINITE:
        return f"above {server.low:g} ms"
    return f"between {server.low:g} and {server.high:g} ms, about {server.estimate:.1f}"


def _reason(client_p95: float, lag_p95: float, server: ServerView) -> str:
    if client_p95 < server.estimate:
        return "what it counted has slower requests than ours, or some that we gave up"
    return (
        f"time that the server did not see went into the generator's lag (p95 {lag_p95:.1f} ms), "
        "connections or queues before it"
    )


def _apart(client_p95: float, server: ServerView) -> str | None:
    """By how much the client's is beyond the bucket's width; None where it is not."""
    difference = abs(client_p95 - server.estimate)
    if server.high == _INFINITE:  # above it, any value agrees
        return f"at least {difference:.1f} ms apart" if client_p95 < server.low else None
    width = server.high - server.low
    return f"{difference:.1f} ms apart, more than the bucket's {width:g} ms" if difference > width else None
