"""A request in, what its route needs out.

Plain functions: resolving them as FastAPI's dependencies took a third of a small picture's time.
"""

from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from service.classifier import Classifier
from service.errors import WrongArgument
from service.parts import parts_of
from service.trace import Trace

_ARGUMENTS = {
    "model": "a loaded model; the default one if absent",
    "version": "its version; the highest if absent",
}
# What OpenAPI is to say of a route that calls `classifier_of`.
CHOOSES_MODEL: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in _ARGUMENTS.items()
    ]
}


def trace_of(request: Request) -> Trace:
    """What is known of the request."""
    trace: Trace = request.state.trace
    return trace


def classifier_of(request: Request) -> Classifier:
    """The model that the address names, which the trace then knows.

    Raises:
        WrongArgument: the address has another argument, or one twice.
        UnknownModel: it names none that is loaded.
    """
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in _ARGUMENTS:  # a misspelt `model` must not be answered by the default one
            known = ", ".join(_ARGUMENTS)
            raise WrongArgument(f"there is no argument {name!r}: choose among {known}")
        if name in given:
            raise WrongArgument(f"the argument {name!r} is there twice: give it once")
        given[name] = value
    classifier = parts_of(request.app).registry.get(given.get("model"), given.get("version"))
    trace_of(request).model = (classifier.manifest.name, classifier.manifest.version)
    return classifier


def answer(content: BaseModel) -> Response:
    """The content as JSON; FastAPI would check once more that it is what it is."""
    return Response(content.model_dump_json(), media_type="application/json")
