"""What the service counts, and its text for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

_SECONDS = (0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "glimpse_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "glimpse_request_seconds",
            "From a request's headers to the last byte of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "glimpse_stage_seconds",
            "Where a request's time went: read, queue, decode, infer.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.predictions = Counter(
            "glimpse_predictions",
            "Pictures classified, by the class that won.",
            ["model", "version", "predicted"],
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """Everything counted so far, in Prometheus's text format."""
        return generate_latest(self.registry)
