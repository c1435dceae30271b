"""What ends the whole command, and what fails for one picture alone."""

from typing import Any


class UsageError(Exception):
    """Nothing more can be classified: a wrong argument, key or model, or no service; one sentence."""


class PictureError(Exception):
    """One picture got no answer; the others may."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.error: dict[str, Any] = {"code": code, "message": message}
