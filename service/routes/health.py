"""GET /, /health, /health/live, /health/ready and /metrics: what the service is and how it fares."""

import time

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.metrics import Metrics
from service.routes.dependencies import LifecycleDep, RegistryDep
from service.schemas import FailedModel, Health, ModelName, ServiceInfo, Status

router = APIRouter(tags=["service"])


@router.get("/")
async def index(request: Request) -> ServiceInfo:
    """What this is, and what it answers."""
    app = request.app
    endpoints = {
        "POST /classify": "classify a picture",
        "POST /classify/image": "the same, a short answer with all probabilities",
        "POST /classify/batch": "classify several pictures",
        "GET /classes": "the classes of a model",
        "GET /model/info": "all that is known of a model",
        "GET /models": "the models that are loaded",
        "GET /health": "the state of the service",
        "GET /metrics": "for Prometheus",
    }
    return ServiceInfo(name=app.title, version=app.version, endpoints=endpoints, docs=app.docs_url)


@router.get("/health")
async def health(registry: RegistryDep, lifecycle: LifecycleDep) -> Health:
    """An overview for people: "degraded" when a bundle is there that can't be served."""
    names = [ModelName(name=one.manifest.name, version=one.manifest.version) for one in registry]
    failed = [FailedModel(name=one.name, version=one.version, error=one.reason) for one in registry.failures]
    return Health(
        status="stopping" if lifecycle.is_stopping else "degraded" if failed else "ok",
        ready=not lifecycle.is_stopping,
        models=names,
        failed=failed,
        uptime_seconds=round(time.monotonic() - lifecycle.started, 1),
    )


@router.get("/health/live")
async def live() -> Status:
    """The process answers."""
    return Status(status="ok")


@router.get("/health/ready", responses={503: {"model": Status, "description": "stopping"}})
async def ready(response: Response, lifecycle: LifecycleDep) -> Status:
    """Pictures can be classified: the service listens only once every model is warm and checked."""
    if lifecycle.is_stopping:
        response.status_code = 503
        return Status(status="stopping")
    return Status(status="ok")


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Counters and histograms in Prometheus's text format."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.exposition(), media_type=CONTENT_TYPE_LATEST)
