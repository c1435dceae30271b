"""Calls of a route's function, and what is left to the application."""

import asyncio

import httpx
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import Request as AnyRequest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.direct import CallDirectly
from service.errors import EmptyBody
from service.trace import Trace

router = APIRouter()


@router.post("/direct")
async def direct(request: Request) -> Response:
    if not await request.body():
        raise EmptyBody
    return PlainTextResponse("the function")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"the application, {AnyRequest(scope).method}")(scope, receive, send)


def ask(method: str, path: str, content: bytes = b"x") -> tuple[httpx.Response, Scope]:
    seen: Scope = {}

    async def observed(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"trace": Trace(b"", b"an-id")}
        await app(scope, receive, send)
        seen.update(scope)

    async def send_one() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(observed), base_url="http://test"
        ) as client:
            return await client.request(method, path, content=content)

    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    app: ASGIApp = CallDirectly(application, routes)
    return asyncio.run(send_one()), seen


def test_the_function_is_called_in_the_place_of_the_application() -> None:
    response, scope = ask("POST", "/direct?whatever=1")
    assert response.text == "the function"
    assert scope["route"].path == "/direct"


def test_what_the_function_refuses_is_answered_as_the_application_would() -> None:
    response, _ = ask("POST", "/direct", b"")
    assert response.status_code == EmptyBody.status
    assert response.json()["error"] == {
        "code": "empty_body",
        "message": EmptyBody().message,
        "request_id": "an-id",
    }


def test_other_methods_and_paths_are_for_the_application() -> None:
    assert ask("GET", "/direct")[0].text == "the application, GET"
    assert ask("POST", "/direct/")[0].text == "the application, POST"
