"""What workers measured in, one file of results out: the part of the process that decides, for locust."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import gevent
from gevent import Greenlet
from locust import runners
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, Runner

logger = logging.getLogger(__name__)

READY, FINISHED, FAILED = "loadtest-ready", "loadtest-finished", "loadtest-failed"  # to the lead
BEGIN = "loadtest-begin"  # from it
DRAIN_SECONDS = 10.0  # for the last answers
PATIENCE_SECONDS = 60.0  # for what comes before and after the requests, in the slowest worker
_LOOK_SECONDS = 1
# Of silence, after which a worker counts as lost. With locust's 3, a worker on a busy machine would lose its
# part to another, and get it back half done.
_SILENCE_SECONDS = 8


class Lead:
    """Gives the workers what they need, has them begin together, gathers what they measured, ends the run."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self.environment, self.runner = environment, runner
        self.options = environment.parsed_options or argparse.Namespace()
        runners.HEARTBEAT_LIVENESS = _SILENCE_SECONDS
        self.shares = 1
        self.ready: list[str] = []
        self.finished: dict[str, dict[str, Any]] = {}
        self.watch: Greenlet | None = None
        environment.events.test_start.add_listener(self._start)  # type: ignore[no-untyped-call]
        environment.events.test_stopping.add_listener(self._calm_down)  # type: ignore[no-untyped-call]
        runner.register_message(READY, self._begin)
        runner.register_message(FINISHED, self._gather)
        runner.register_message(FAILED, self._give_up)

    def _start(self, **_: object) -> None:
        options, runner = self.options, self.runner
        self.ready.clear()
        self.finished.clear()
        # A worker has one user; one that gets none has no share either.
        workers = runner.worker_count if isinstance(runner, MasterRunner) else 1
        self.shares = max(1, min(workers, runner.target_user_count))
        if options.expected:  # the workers get it with the order to start
            options.classes = Path(options.expected).read_text(encoding="utf-8")
        self.watch = gevent.spawn(self._watch)

    def _begin(self, msg: Message, **_: object) -> None:
        """Once all have built what they send: apart, they would not make one Poisson process, nor a burst."""
        if msg.node_id in self.ready or len(self.ready) == self.shares:
            return
        self.ready.append(msg.node_id)
        if len(self.ready) == self.shares:
            logger.info("all %d workers begin", self.shares)
            for index, node in enumerate(self.ready):
                share = {"index": index, "shares": self.shares}
                self.runner.send_message(BEGIN, share, node)

    def _gather(self, msg: Message, **_: object) -> None:
        # Where a worker is lost, locust has another one do its part again, after the others.
        self.finished.setdefault(msg.node_id, msg.data)
        if len(self.finished) == self.shares:
            if self.options.results:
                _write(Path(self.options.results), json.dumps(list(self.finished.values())))
            self._end()

    def _give_up(self, msg: Message, **_: object) -> None:
        self._fail(msg.data)

    def _watch(self) -> None:
        """End a run that can't end by itself."""
        longest = self.options.duration + self.options.drain + self.options.patience
        waited = 0.0
        while waited < longest:
            gevent.sleep(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
            if self._is_one_lost():
                self._fail(f"a worker of {self.shares} was lost, or silent for {_SILENCE_SECONDS} s")
                return
        self._fail(f"only {len(self.finished)} of {self.shares} workers told what they measured")

    def _is_one_lost(self) -> bool:
        if not isinstance(self.runner, MasterRunner) or len(self.finished) == self.shares:
            return False
        missing = {worker.id for worker in self.runner.clients.missing}
        return any(node in missing or node not in self.runner.clients for node in self.ready)

    def _fail(self, why: str) -> None:
        logger.error("%s", why)
        self.environment.process_exit_code = 1
        self._end()

    def _end(self) -> None:
        gevent.spawn(self.runner.quit if self.environment.web_ui is None else self.runner.stop)

    def _calm_down(self, **_: object) -> None:
        if self.watch is not None:
            self.watch.kill(block=False)


def _write(file: Path, text: str) -> None:
    """All of it or, where the disk is full, no file."""
    part = file.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
