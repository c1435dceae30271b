"""What the service counts, and its text for Prometheus, summed over the workers.

Each worker keeps its figures in files of the folder $PROMETHEUS_MULTIPROC_DIR, which the supervisor makes and
clears; a worker that dies leaves its counts behind.
"""

import os
import platform
import struct
import time
from typing import Generic, TypeVar

import onnxruntime
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from service.counts import count_in_files
from service.memory import ContainerMemory

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_TRIES, _PAUSE_SECONDS = 20, 0.01

Metric = TypeVar("Metric", Counter, Histogram)


class Labelled(dict[tuple[str, ...], Metric], Generic[Metric]):
    """A metric's children by their labels; asking the metric itself for one takes ten times as long."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric: Metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Metric:
        child: Metric = self._metric.labels(*labels)
        self[labels] = child
        return child


class Metrics:
    """The metrics of one worker, in a registry of its own."""

    def __init__(self, version: str, workers: int) -> None:
        """Take the service's version, and how many workers it is to have."""
        if _FOLDER_VARIABLE in os.environ:
            count_in_files(os.getpid())
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Labelled(
            Counter(
                "glimpse_requests",
                "Requests answered.",
                ["route", "status", "model", "version"],
                registry=own,
            )
        )
        self.request_seconds = Labelled(
            Histogram(
                "glimpse_request_seconds",
                "From a request's headers to the last byte of its answer.",
                ["route"],
                buckets=_SECONDS,
                registry=own,
            )
        )
        self.stage_seconds = Labelled(
            Histogram(
                "glimpse_stage_seconds",
                "Where a request's time went: read, queue, decode, infer.",
                ["stage"],
                buckets=_SECONDS,
                registry=own,
            )
        )
        self.predictions = Labelled(
            Counter(
                "glimpse_predictions",
                "Pictures classified, by the class that won.",
                ["model", "version", "predicted"],
                registry=own,
            )
        )
        self.confidence = Labelled(
            Histogram(
                "glimpse_confidence",
                "Probability of the class that won.",
                ["model", "version"],
                buckets=_SHARES,
                registry=own,
            )
        )
        self.in_flight = Gauge(
            "glimpse_requests_in_flight",
            "Requests being answered.",
            multiprocess_mode="livesum",
            registry=own,
        )
        self.models = Gauge(
            "glimpse_model_loaded",
            "1 for a model that is loaded and agrees with its golden pictures, 0 for one that is not.",
            ["model", "version", "variant"],
            multiprocess_mode="livemin",
            registry=own,
        )
        self.started = Gauge(
            "glimpse_start_time_seconds",
            "When the youngest worker was ready, in seconds since 1970.",
            multiprocess_mode="livemax",
            registry=own,
        )
        self.workers = Gauge(
            "glimpse_workers", "Processes that answer.", multiprocess_mode="livesum", registry=own
        )
        expected = Gauge(
            "glimpse_workers_expected",
            "Processes that are to answer: GLIMPSE_WORKERS.",
            multiprocess_mode="livemax",
            registry=own,
        )
        expected.set(workers)
        self.restarts = Counter(
            "glimpse_worker_restarts", "Workers started in the place of one that ended.", registry=own
        )
        build = Gauge(
            "glimpse_build_info",
            "1; the labels say what runs.",
            ["version", "python", "onnxruntime"],
            multiprocess_mode="livemax",
            registry=own,
        )
        build.labels(version, platform.python_version(), onnxruntime.__version__).set(1)

    def note_ready(self) -> None:
        """Say that this worker answers from now on."""
        self.started.set(time.time())
        self.workers.set(1)

    def exposition(self) -> bytes:
        """Everything counted so far, in Prometheus's text format."""
        if _FOLDER_VARIABLE not in os.environ:  # one worker, without a supervisor
            return generate_latest(self.registry)
        summed = CollectorRegistry()
        summed.register(ContainerMemory())
        MultiProcessCollector(summed)  # type: ignore[no-untyped-call]
        for _ in range(_TRIES):
            try:
                return generate_latest(summed)
            except struct.error:  # a worker that starts has made its file, and not yet written to it
                time.sleep(_PAUSE_SECONDS)
        return generate_latest(summed)
