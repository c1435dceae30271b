"""A scenario's name in, the mix of requests that it stands for out."""

from collections.abc import Mapping
from dataclasses import dataclass

CIFAR, WEB, PHONE, BATCH, BAD = "png 32x32", "jpeg 640x480", "jpeg 4000x3000", "batch of 16", "bad file"


@dataclass(frozen=True)
class Burst:
    """A time in the middle of the run with `factor` times the rate."""

    factor: float
    seconds: float


@dataclass(frozen=True)
class Scenario:
    """Kinds of requests with their weights, which sum to 1."""

    description: str
    weights: Mapping[str, float]
    burst: Burst | None = None


SCENARIOS = {
    "cifar": Scenario("PNG of 32x32", {CIFAR: 1}),
    "web": Scenario("JPEG of 640x480", {WEB: 1}),
    "phone": Scenario("JPEG of 12 megapixels", {PHONE: 1}),
    "batch": Scenario("16 PNGs of 32x32 to /classify/batch", {BATCH: 1}),
    "mixed": Scenario(
        "62% PNG of 32x32, 30% JPEG of 640x480, 3% JPEG of 12 megapixels, 5% batches of 16",
        # With 5% of the slowest kind, p95 would stand at the very step between two kinds, and jump.
        {CIFAR: 0.62, WEB: 0.3, PHONE: 0.03, BATCH: 0.05},
    ),
    "light": Scenario("90% PNG of 32x32, 10% JPEG of 640x480", {CIFAR: 0.9, WEB: 0.1}),
    "hostile": Scenario(
        "5% bad files, which must get their 4xx; 65% PNG of 32x32, 30% JPEG of 640x480",
        {BAD: 0.05, CIFAR: 0.65, WEB: 0.3},
    ),
    "burst": Scenario("PNG of 32x32, at 10 times the rate for 2 s in the middle", {CIFAR: 1}, Burst(10, 2)),
}


def describe_scenarios() -> str:
    """Every scenario, a line each."""
    return "\n".join(f"  {name:<8} {scenario.description}" for name, scenario in SCENARIOS.items())
