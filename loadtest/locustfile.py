"""Requests at times drawn ahead (Poisson), each timed from when it was due, for locust.

A closed loop would wait for a slow answer before it asks again, and so leave out the very requests that a
stall would have hurt (coordinated omission). Here arrivals don't depend on answers.
"""

import argparse
import json
import random
import time
from pathlib import Path
from urllib.parse import urlencode

import gevent
from gevent.pool import Group
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment

from loadtest.payloads import CONTENT_TYPE, Payload, build_payloads

_MOST_IN_FLIGHT = 1000
_DRAIN_SECONDS = 10


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=50, help="requests per second")
    parser.add_argument("--duration", type=float, default=30, help="seconds of arrivals")
    parser.add_argument("--model", default="", help="model to ask for; the service's default if absent")
    parser.add_argument("--results", default="", help="file for every request's time, as JSON")


class Arrivals(FastHttpUser):
    """The one user: it starts a greenlet an arrival. Run it with `--users 1`."""

    concurrency = _MOST_IN_FLIGHT

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.payloads = build_payloads()
        self.path = "/classify"
        self.options = environment.parsed_options or argparse.Namespace()
        if self.options.model:
            self.path += f"?{urlencode({'model': self.options.model})}"
        self.in_flight = Group()
        self.lags: list[float] = []
        self.measured: list[dict[str, object]] = []
        environment.events.request.add_listener(self._measure)  # type: ignore[no-untyped-call]

    @task
    def run_schedule(self) -> None:
        """Send at the drawn times, wait for the last answers, write the results, end the run."""
        options = self.options
        rng = random.Random(0)  # noqa: S311 - a schedule, not a secret
        end = time.perf_counter() + options.duration
        due = time.perf_counter() + rng.expovariate(options.rate)
        while due < end:
            gevent.sleep(max(0.0, due - time.perf_counter()))
            self.lags.append(1000 * (time.perf_counter() - due))
            self.in_flight.spawn(self._send, rng.choice(self.payloads), due)
            due += rng.expovariate(options.rate)
        self.in_flight.join(timeout=_DRAIN_SECONDS)
        if options.results:
            results = {"requests": self.measured, "offered": len(self.lags), "generator_lags_ms": self.lags}
            Path(options.results).write_text(json.dumps(results), encoding="utf-8")
        if self.environment.runner is not None:
            self.environment.runner.quit()

    def _send(self, payload: Payload, due: float) -> None:
        headers = {"Content-Type": CONTENT_TYPE}
        with self.client.post(
            self.path,
            data=payload.body,  # type: ignore[arg-type]  # bytes go out as they are
            headers=headers,
            name=payload.name,
            catch_response=True,
        ) as response:
            answer = response.text or ""
            if response.status_code != 200 or '"prediction"' not in answer:
                response.failure(f"status {response.status_code}: {answer[:200] or response.error}")
            response.request_meta["response_time"] = 1000 * (time.perf_counter() - due)

    def _measure(
        self,
        name: str,
        response_time: float,
        response: FastResponse,
        exception: Exception | None,
        **_: object,
    ) -> None:
        self.measured.append(
            {
                "name": name,
                "milliseconds": response_time,
                "error": None if exception is None else str(exception),
                "status": response.status_code,
                "retry_after": response.headers.get("retry-after") if response.headers else None,
            }
        )
