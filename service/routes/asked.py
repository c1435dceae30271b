"""An address in, the model that it asks for out."""

from typing import Any

from fastapi import Request
from starlette.datastructures import QueryParams

from service.classifier import Classifier
from service.errors import WrongArgument
from service.parts import Parts, parts_of
from service.trace import Trace

_ARGUMENTS = {
    "model": "a loaded model; the default one if absent",
    "version": "its version; the highest if absent",
}
# What OpenAPI is to say of a route that lets its caller choose.
CHOOSES_MODEL: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in _ARGUMENTS.items()
    ]
}


def classifier_of(request: Request) -> Classifier:
    """The model that a request's address names; raises as `choose` does."""
    return choose(parts_of(request.app), request.scope["query_string"], request.state.trace)


def choose(parts: Parts, query: bytes, trace: Trace) -> Classifier:
    """The model that an address's query names, which the trace then knows.

    Raises:
        WrongArgument: the address has another argument, or one twice.
        UnknownModel: it names none that is loaded.
    """
    given = _arguments(query) if query else {}
    classifier = parts.registry.get(given.get("model"), given.get("version"))
    trace.model = (classifier.manifest.name, classifier.manifest.version)
    return classifier


def _arguments(query: bytes) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in QueryParams(query).multi_items():
        if name not in _ARGUMENTS:  # a misspelt `model` must not be answered by the default one
            known = ", ".join(_ARGUMENTS)
            raise WrongArgument(f"there is no argument {name!r}: choose among {known}")
        if name in given:
            raise WrongArgument(f"the argument {name!r} is there twice: give it once")
        given[name] = value
    return given
