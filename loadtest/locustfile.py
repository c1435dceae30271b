"""Requests at times drawn ahead (Poisson), each timed from when it was due, for locust.

A closed loop would wait for a slow answer before it asks again, and so leave out the very requests that a
stall would have hurt (coordinated omission). Here arrivals don't depend on answers. Locust's own table rounds
to milliseconds; the records that each process sends to the master at its end are exact.

Each process needs one user; the rate is an option. Of several workers, each sends its share of one schedule.
"""

import argparse
import gc
import json
import os
import time
from typing import ClassVar

import gevent
from gevent.event import AsyncResult
from gevent.pool import Group
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, Runner, WorkerRunner

from loadtest.address import KEY_VARIABLE, ServerError, parse_address
from loadtest.answers import check_answer
from loadtest.lead import BEGIN, DRAIN_SECONDS, FAILED, FINISHED, PATIENCE_SECONDS, READY, Lead
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
    parser.add_argument("--drain", type=float, default=DRAIN_SECONDS, help="for last answers, s", **hidden)
    parser.add_argument("--classes", default="", help="set by the master", **hidden)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _take_parts(environment: Environment, runner: Runner, **_: object) -> None:
    if not isinstance(runner, WorkerRunner):
        Lead(environment, runner)
    if not isinstance(runner, MasterRunner):
        runner.register_message(BEGIN, _begin)


def _begin(msg: Message, **_: object) -> None:
    if Arrivals.sender is not None:
        Arrivals.sender.share.set((msg.data["index"], msg.data["shares"]))


class Arrivals(FastHttpUser):
    """The one user of a process: it starts a greenlet an arrival."""

    concurrency = MOST_IN_FLIGHT
    max_redirects = 0
    insecure = False  # the key goes to the service alone
    sender: "ClassVar[Arrivals | None]" = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.options = environment.parsed_options or argparse.Namespace()
        self.share: AsyncResult[tuple[int, int]] = AsyncResult()
        self.in_flight = Group()
        self.unanswered: set[Arrival] = set()
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
        arrivals = self._prepare()
        cpu_before, self.begin = time.process_time(), time.perf_counter()
        for arrival in arrivals:
            gevent.sleep(max(0.0, arrival.due - self._now()))
            self.lags.append(1000 * (self._now() - arrival.due))
            self.unanswered.add(arrival)
            self.in_flight.spawn(self._send, arrival)
            self.peak = max(self.peak, len(self.in_flight))
        sending_seconds = max(self.options.duration, self._now())
        gevent.sleep(max(0.0, sending_seconds - self._now()))
        cpu = (time.process_time() - cpu_before) / self._now()
        self.in_flight.join(timeout=self.options.drain)
        self._give_up_on_the_rest()
        generator = Generator(cpu, len(arrivals), sending_seconds, self.peak, self.lags)
        self._tell(FINISHED, to_message(self.results, generator))
        raise StopUser

    def _prepare(self) -> list[Arrival]:
        """Build what is sent, learn the classes, wait for the others, draw this process's share."""
        if Arrivals.sender is not None:  # the rate is an option, so a second user would only double it
            raise StopUser
        Arrivals.sender = self
        options, scenario = self.options, SCENARIOS[self.options.scenario]
        # In a thread, so that the lead hears from us meanwhile: photos take seconds to make.
        self.payloads: dict[str, list[Payload]] = gevent.get_hub().threadpool.apply(
            build_payloads, (scenario.weights,)
        )
        everything = [payload for payloads in self.payloads.values() for payload in payloads]
        try:
            self.address = parse_address(str(self.host), os.environ.get(KEY_VARIABLE, ""))
            given = options.classes
            self.classes = json.loads(given) if given else rehearse(self.address, everything, options.model)
        except ServerError as error:
            self._tell(FAILED, str(error))
            raise StopUser from error
        arrivals = draw_arrivals(
            scenario.weights, options.rate, options.duration, scenario.burst, options.seed
        )
        gc.collect()
        gc.freeze()  # or each collection would go through all this, and delay what is due
        self._tell(READY, None)
        index, shares = self.share.get()
        return share_of(arrivals, index, shares, options.seed)

    def _now(self) -> float:
        """Seconds since the first moment at which a request could be due."""
        return time.perf_counter() - self.begin

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
            milliseconds = 1000 * (self._now() - arrival.due)
            status, text = response.status_code, response.text or ""
            error = check_answer(payload, status, text, self.classes.get(payload.key))
            if error is not None:
                error = error if status else f"no answer: {response.error}"
                response.failure(error)
            else:
                response.success()
            response.request_meta["response_time"] = milliseconds
            retry_after = response.headers.get("retry-after") if response.headers else None
        self.unanswered.discard(arrival)
        self.results.append(Result(payload.kind, milliseconds, error, status, retry_after, arrival.due))

    def _give_up_on_the_rest(self) -> None:
        """Count what has no answer yet as slow as it is by now, or a frozen service would look quick."""
        for arrival in self.unanswered:
            error = f"no answer within {self.options.drain:g} s of the end"
            milliseconds = 1000 * (self._now() - arrival.due)
            self.results.append(Result(arrival.kind, milliseconds, error, 0, None, arrival.due))

    def _payload(self, arrival: Arrival) -> Payload:
        payloads = self.payloads[arrival.kind]
        return payloads[int(arrival.pick * len(payloads))]
