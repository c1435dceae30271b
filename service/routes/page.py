"""GET / and what the page there needs: a browser gets the page, a program the list of calls."""

from pathlib import Path
from types import SimpleNamespace

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from service.descriptions import ExampleList, ServiceInfo
from service.documented import failures
from service.doors import PAGE_FILES
from service.errors import UnknownModel, WrongArgument
from service.parts import parts_of
from service.routes.asked import CHOOSES_MODEL, classifier_of

router = APIRouter(tags=["service"], responses=failures())
examples_router = APIRouter(tags=["models"])

_STATIC = Path(__file__).resolve().parent.parent / "static"
_HTML = {"text/html": {"schema": {"type": "string"}}}
# The page loads its own files and shows pictures that it has in memory, and nothing else at all.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "Vary": "Accept",
}


@router.get("/", response_model=ServiceInfo, responses={200: {"content": _HTML}})
async def index(request: Request) -> ServiceInfo | Response:
    """For browsers (`Accept: text/html`) a page to try it in; for others what this is and answers."""
    if parts_of(request.app).settings.page and "text/html" in request.headers.get("accept", ""):
        return FileResponse(_STATIC / "index.html", headers=_PAGE_HEADERS)
    return service_info(request.app)


@examples_router.get(
    "/model/examples",
    responses=failures(UnknownModel(), WrongArgument()),
    openapi_extra=CHOOSES_MODEL,
)
async def model_examples(request: Request) -> ExampleList:
    """Pictures to try a model on: those of its bundle, which were held out of its training."""
    return ExampleList.of(classifier_of(request))


def add_page_files(app: FastAPI) -> None:
    """Serve the page's scripts and styles."""
    app.mount(PAGE_FILES, _PageFiles(directory=_STATIC / "page"))


def service_info(app: FastAPI) -> ServiceInfo:
    """What this is, and what it answers."""
    settings = parts_of(app).settings
    endpoints = {
        "POST /classify": "classify a picture",
        "POST /classify/image": "the same, a short answer with all probabilities",
        "POST /classify/details": "the same, all of it, and the picture as the model saw it",
        "POST /classify/batch": "classify several pictures",
        "GET /classes": "the classes of a model",
        "GET /model/info": "all that is known of a model",
        "GET /model/examples": "pictures to try a model on",
        "GET /models": "the models that are loaded",
        "GET /health": "the state of the service",
        "GET /metrics": "for Prometheus",
    }
    if not settings.examples:
        del endpoints["GET /model/examples"]
    return ServiceInfo(name=app.title, version=app.version, endpoints=endpoints, docs=app.docs_url)


class _PageFiles(StaticFiles):
    """Files that a browser keeps and asks about each time, so that an upgrade is seen at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = SimpleNamespace(path=PAGE_FILES)  # for the metrics
        await super().__call__(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
