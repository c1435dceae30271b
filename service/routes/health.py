"""GET /, /health, /health/live, /health/ready and /metrics: what the service is and how it fares."""

import time

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.metrics import Metrics
from service.routes.dependencies import RegistryDep
from service.schemas import Health, ModelName, ServiceInfo, Status

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
async def health(request: Request, registry: RegistryDep) -> Health:
    """An overview for people."""
    names = [ModelName(name=one.manifest.name, version=one.manifest.version) for one in registry]
    uptime = time.monotonic() - request.app.state.started
    return Health(status="ok", ready=True, models=names, uptime_seconds=round(uptime, 1))


@router.get("/health/live")
async def live() -> Status:
    """The process answers."""
    return Status(status="ok")


@router.get("/health/ready")
async def ready() -> Status:
    """Pictures can be classified: the service listens only once every model is warm and checked."""
    return Status(status="ok")


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Counters and histograms in Prometheus's text format."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.exposition(), media_type=CONTENT_TYPE_LATEST)
