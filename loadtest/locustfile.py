"""Requests at times drawn ahead (Poisson), each timed from when it was due, for locust.

A closed loop would wait for a slow answer before it asks again, and so leave out the very requests that a
stall would have hurt (coordinated omission). Here arrivals don't depend on answers. Locust's own table rounds
to milliseconds; the records that each process sends to the master at its end are exact.

Each process needs one user; the rate is an option. Of several workers, each sends its share of one schedule.
"""

import argparse
import json
import os
import time
from typing import ClassVar

import gevent
from gevent.pool import Group
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import Runner, WorkerRunner

from loadtest.address import KEY_VARIABLE, ServerError, parse_address
from loadtest.answers import check_answer
from loadtest.lead import DRAIN_SECONDS, FAILED, FINISHED, PATIENCE_SECONDS, Lead
from loadtest.payloads import Payload, build_payloads, for_model
from loadtest.rehearsal import rehearse
from loadtest.results import MOST_IN_FLIGHT, Generator, Result, to_message
from loadtest.scenarios import SCENARIOS
from loadtest.schedule import Arrival, draw_arrivals, share_of


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser) -> None:
    hidden = {"include_in_web_ui": False}
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second, of all workers")
    parser.add_argument("--duration", type=float, default=30.0, help="seconds of arrivals")
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="mixed", help="what is sent")
    parser.add_argument("--model", default="", help="model to ask for; the service's default if absent")
    parser.add_argument("--seed", type=int, default=0, help="of the schedule")
    parser.add_argument("--expected", default="", help="file of classes by payload, as JSON", **hidden)
    parser.add_argument("--results", default="", help="file for every request's time, as JSON", **hidden)
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, help="for workers, s", **hidden)
    parser.add_argument("--shares", type=int, default=1, help="set by the master", **hidden)
    parser.add_argument("--classes", default="", help="set by the master", **hidden)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _take_the_lead(environment: Environment, runner: Runner, **_: object) -> None:
    if not isinstance(runner, WorkerRunner):
        Lead(environment, runner)


class Arrivals(FastHttpUser):
    """The one user of a process: it starts a greenlet an arrival."""

    concurrency = MOST_IN_FLIGHT
    max_redirects = 0
    insecure = False  # the key goes to the service alone
    sender: "ClassVar[Arrivals | None]" = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.options = environment.parsed_options or argparse.Namespace()
        self.in_flight = Group()
        self.lags: list[float] = []
        self.results: list[Result] = []
        self.peak = 0
        self.begin = 0.0

    def on_stop(self) -> None:
        """Let go of what is still on its way."""
        if Arrivals.sender is self:
            Arrivals.sender = None
        self.in_flight.kill(block=False)

    @task
    def run_schedule(self) -> None:
        """Prepare, send at the drawn times, wait for the last answers, hand the results over, end."""
        self._prepare()
        cpu_before, self.begin = time.process_time(), time.perf_counter()
        in_time = 0
        for arrival in self.arrivals:
            gevent.sleep(max(0.0, self.begin + arrival.due - time.perf_counter()))
            sent = time.perf_counter() - self.begin
            self.lags.append(1000 * (sent - arrival.due))
            in_time += sent <= self.options.duration
            self.in_flight.spawn(self._send, arrival)
            self.peak = max(self.peak, len(self.in_flight))
        gevent.sleep(max(0.0, self.begin + self.options.duration - time.perf_counter()))
        cpu = (time.process_time() - cpu_before) / (time.perf_counter() - self.begin)
        self.in_flight.join(timeout=DRAIN_SECONDS)
        generator = Generator(cpu, len(self.arrivals), in_time, self.peak, self.lags)
        self._tell(FINISHED, to_message(self.results, generator))
        raise StopUser

    def _prepare(self) -> None:
        """Build what is sent, learn the classes, draw this process's share of the schedule."""
        if Arrivals.sender is not None:  # the rate is an option, so a second user would only double it
            raise StopUser
        Arrivals.sender = self
        options, scenario = self.options, SCENARIOS[self.options.scenario]
        self.payloads = build_payloads(scenario.weights)
        everything = [payload for payloads in self.payloads.values() for payload in payloads]
        try:
            self.address = parse_address(str(self.host), os.environ.get(KEY_VARIABLE, ""))
            given = options.classes
            self.classes = json.loads(given) if given else rehearse(self.address, everything, options.model)
        except ServerError as error:
            self._tell(FAILED, str(error))
            raise StopUser from error
        load = (scenario.weights, options.rate, options.duration, scenario.burst, options.seed)
        index = max(0, getattr(self.environment.runner, "worker_index", 0)) % options.shares
        self.arrivals = share_of(draw_arrivals(*load), index, options.shares, options.seed)

    def _tell(self, what: str, data: object) -> None:
        if self.environment.runner is not None:
            self.environment.runner.send_message(what, data)

    def _send(self, arrival: Arrival) -> None:
        payload = self._payload(arrival)
        with self.client.post(
            self.address.url + for_model(payload.path, self.options.model),
            data=payload.body,  # type: ignore[arg-type]  # bytes go out as they are
            headers={**self.address.headers, "Content-Type": payload.content_type},
            name=payload.kind,
            catch_response=True,
        ) as response:
            milliseconds = 1000 * (time.perf_counter() - self.begin - arrival.due)
            status, text = response.status_code, response.text or ""
            error = check_answer(payload, status, text, self.classes.get(payload.key))
            if error is not None:
                error = error if status else f"no answer: {response.error}"
                response.failure(error)
            else:
                response.success()
            response.request_meta["response_time"] = milliseconds
            retry_after = response.headers.get("retry-after") if response.headers else None
        self.results.append(Result(payload.kind, milliseconds, error, status, retry_after, arrival.due))

    def _payload(self, arrival: Arrival) -> Payload:
        payloads = self.payloads[arrival.kind]
        return payloads[int(arrival.pick * len(payloads))]
