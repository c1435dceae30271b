"""What workers measured in, one file of results out: the part of the process that decides, for locust."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import gevent
from gevent import Greenlet
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, Runner

logger = logging.getLogger(__name__)

FINISHED, FAILED = "loadtest-finished", "loadtest-failed"  # messages to the lead
DRAIN_SECONDS = 10  # for the last answers
PATIENCE_SECONDS = 60.0  # for what comes before and after the requests, in the slowest worker


class Lead:
    """Gives the workers what they need, gathers what they measured, ends the run."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self.environment, self.runner = environment, runner
        self.options = environment.parsed_options or argparse.Namespace()
        self.finished: dict[str, dict[str, Any]] = {}
        self.patience: Greenlet | None = None
        environment.events.test_start.add_listener(self._start)  # type: ignore[no-untyped-call]
        environment.events.test_stop.add_listener(self._calm_down)  # type: ignore[no-untyped-call]
        runner.register_message(FINISHED, self._gather)
        runner.register_message(FAILED, self._give_up)

    def _start(self, **_: object) -> None:
        options, runner = self.options, self.runner
        self.finished.clear()
        # The workers get these with the order to start.
        options.shares = runner.worker_count if isinstance(runner, MasterRunner) else 1
        if options.expected:
            options.classes = Path(options.expected).read_text(encoding="utf-8")
        longest = options.duration + DRAIN_SECONDS + options.patience
        self.patience = gevent.spawn_later(longest, self._lose_patience)

    def _gather(self, msg: Message, **_: object) -> None:
        # Where a worker is lost, locust has another one do its part again, after the others.
        self.finished.setdefault(msg.node_id, msg.data)
        if len(self.finished) == self.options.shares:
            if self.options.results:
                Path(self.options.results).write_text(
                    json.dumps(list(self.finished.values())), encoding="utf-8"
                )
            self._end()

    def _give_up(self, msg: Message, **_: object) -> None:
        self._fail(msg.data)

    def _lose_patience(self) -> None:
        self.patience = None
        self._fail(f"only {len(self.finished)} of {self.options.shares} workers told what they measured")

    def _fail(self, why: str) -> None:
        logger.error("%s", why)
        self.environment.process_exit_code = 1
        self._end()

    def _end(self) -> None:
        gevent.spawn(self.runner.quit if self.environment.web_ui is None else self.runner.stop)

    def _calm_down(self, **_: object) -> None:
        if self.patience is not None:
            self.patience.kill(block=False)
