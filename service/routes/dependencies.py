"""What routes ask FastAPI for; async, because FastAPI sends plain functions through a thread each."""

from typing import Annotated

from fastapi import Depends, Query, Request

from service.classifier import Classifier
from service.engine import Engine
from service.errors import WrongArgument
from service.lifecycle import Lifecycle
from service.limits import Buffer
from service.registry import Registry
from service.settings import Settings
from service.trace import Trace

_ARGUMENTS = ("model", "version")


async def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _buffer(request: Request) -> Buffer:
    buffer: Buffer = request.app.state.buffer
    return buffer


async def _lifecycle(request: Request) -> Lifecycle:
    lifecycle: Lifecycle = request.app.state.lifecycle
    return lifecycle


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _trace(request: Request) -> Trace:
    trace: Trace = request.state.trace
    return trace


async def _check_arguments(request: Request) -> None:
    """A misspelt `model` must not be answered by the default one."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in _ARGUMENTS:
            known = ", ".join(_ARGUMENTS)
            raise WrongArgument(f"there is no argument {name!r}: choose among {known}")
        if name in seen:
            raise WrongArgument(f"the argument {name!r} is there twice: give it once")
        seen.add(name)


async def _classifier(
    _: Annotated[None, Depends(_check_arguments)],
    registry: Annotated[Registry, Depends(_registry)],
    trace: Annotated[Trace, Depends(_trace)],
    model: Annotated[str | None, Query(description="a loaded model; the default one if absent")] = None,
    version: Annotated[str | None, Query(description="its version; the highest if absent")] = None,
) -> Classifier:
    classifier = registry.get(model, version)
    trace.model = (classifier.manifest.name, classifier.manifest.version)
    return classifier


RegistryDep = Annotated[Registry, Depends(_registry)]
SettingsDep = Annotated[Settings, Depends(_settings)]
BufferDep = Annotated[Buffer, Depends(_buffer)]
LifecycleDep = Annotated[Lifecycle, Depends(_lifecycle)]
EngineDep = Annotated[Engine, Depends(_engine)]
TraceDep = Annotated[Trace, Depends(_trace)]
ClassifierDep = Annotated[Classifier, Depends(_classifier)]
