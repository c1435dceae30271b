"""What routes ask FastAPI for; async, because FastAPI sends plain functions through a thread each."""

from typing import Annotated

from fastapi import Depends, Query, Request

from service.classifier import Classifier
from service.engine import Engine
from service.middleware import Trace
from service.registry import Registry
from service.settings import Settings


async def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _trace(request: Request) -> Trace:
    trace: Trace = request.state.trace
    return trace


async def _classifier(
    registry: Annotated[Registry, Depends(_registry)],
    model: Annotated[str | None, Query(description="a loaded model; the default one if absent")] = None,
    version: Annotated[str | None, Query(description="its version; the highest if absent")] = None,
) -> Classifier:
    return registry.get(model, version)


RegistryDep = Annotated[Registry, Depends(_registry)]
SettingsDep = Annotated[Settings, Depends(_settings)]
EngineDep = Annotated[Engine, Depends(_engine)]
TraceDep = Annotated[Trace, Depends(_trace)]
ClassifierDep = Annotated[Classifier, Depends(_classifier)]
