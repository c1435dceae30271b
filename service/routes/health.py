"""GET /health, /health/live, /health/ready and /metrics: how the service fares."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.descriptions import Health, Status
from service.documented import failures
from service.parts import parts_of

router = APIRouter(tags=["service"], responses=failures())

_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_STOPPING = {
    "description": "It is stopping.",
    "content": {"application/json": {"example": {"status": "stopping"}}},
}


@router.get("/health")
async def health(request: Request) -> Health:
    """An overview for people: "degraded" when a bundle is there that can't be served."""
    parts = parts_of(request.app)
    return Health.of(parts.registry, parts.lifecycle)


@router.get("/health/live")
async def live() -> Status:
    """The process answers."""
    return Status(status="ok")


@router.get("/health/ready", responses={503: {"model": Status, **_STOPPING}})
async def ready(request: Request, response: Response) -> Status:
    """Pictures can be classified: the service listens only once every model is warm and checked."""
    if parts_of(request.app).lifecycle.is_stopping:
        response.status_code = 503
        return Status(status="stopping")
    return Status(status="ok")


@router.get("/metrics", response_class=Response, responses={200: {"content": _TEXT}})
def metrics(request: Request) -> Response:
    """Counters and histograms in Prometheus's text format."""
    return Response(parts_of(request.app).metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
