"""Failures in, their answers as the OpenAPI document shows them out."""

from typing import Any

from service.errors import InternalError, ServiceError
from service.schemas import ErrorAnswer

REQUEST_ID = "4bf92f3577b34da6a3ce929d0e0e4736"

Responses = dict[int | str, dict[str, Any]]


def failures(*errors: ServiceError) -> Responses:
    """What a route's `responses` say of these failures, and of ours: an entry a status, an example a code."""
    responses: Responses = {}
    for error in (*errors, InternalError()):
        entry = responses.setdefault(
            error.status,
            {"model": ErrorAnswer, "description": "", "content": {"application/json": {"examples": {}}}},
        )
        summary = (type(error).__doc__ or error.code).partition("\n")[0]
        entry["description"] = f"{entry['description']} {summary}".strip()
        entry["content"]["application/json"]["examples"][error.code] = {
            "summary": summary,
            "value": ErrorAnswer.of(error, REQUEST_ID).model_dump(),
        }
    return responses
