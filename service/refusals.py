"""Refusals in, a line of log a second out: a line for each would cost as much as refusing them."""

import asyncio
import logging

logger = logging.getLogger(__name__)

_SECONDS = 1.0


class Refusals:
    """Counts what is refused for want of room, and says how much it was while it goes on."""

    def __init__(self) -> None:
        self._count = 0

    def note(self) -> None:
        """Count one."""
        self._count += 1
        if self._count == 1:
            asyncio.get_running_loop().call_later(_SECONDS, self._say)

    def _say(self) -> None:
        logger.warning("%d requests were refused within a second: more came than can be done", self._count)
        self._count = 0
