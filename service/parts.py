"""Settings in, all that a running service is made of out, its models loaded and checked."""

from dataclasses import dataclass

from starlette.applications import Starlette

from service.board import Place
from service.buffer import Buffer
from service.engine import Engine
from service.gate import Gate
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.observer import Observer
from service.registry import Registry, load_registry
from service.settings import Settings


@dataclass(frozen=True)
class Parts:
    """What an application's routes, its worker and its document have at hand."""

    settings: Settings
    metrics: Metrics
    registry: Registry
    engine: Engine
    buffer: Buffer
    lifecycle: Lifecycle
    observer: Observer
    gate: Gate


def build_parts(settings: Settings, version: str, place: Place | None = None) -> Parts:
    """Load every bundle, and make what works with them.

    Raises:
        BundleError: no bundle can be served, or there is none.
        SettingsError: the default model is not among them, or has to be named.
    """
    metrics = Metrics(version, settings.workers)
    place = place or Place.alone()
    registry = load_registry(
        settings.artifacts,
        settings.default_model,
        settings.variant,
        settings.threads,
        settings.most_threads if place.could_use(settings.most_threads) else settings.threads,
        settings.engine,
    )
    for one in registry:
        metrics.models.labels(one.manifest.name, one.manifest.version, one.variant_name).set(1)
    for failure in registry.failures:
        metrics.models.labels(failure.name, failure.version, "").set(0)
    engine, lifecycle = Engine(settings, metrics, place), Lifecycle()
    observer = Observer(metrics, lifecycle)
    return Parts(
        settings=settings,
        metrics=metrics,
        registry=registry,
        engine=engine,
        buffer=Buffer(settings.max_buffered_bytes),
        lifecycle=lifecycle,
        observer=observer,
        gate=Gate(engine.light, observer),
    )


def parts_of(app: Starlette) -> Parts:
    """Those that `create_app` gave the application."""
    parts: Parts = app.state.parts
    return parts
