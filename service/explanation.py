"""What went wrong with a request in, what its caller is told of it out; the log is told more."""

import asyncio
import logging

from service.errors import InternalError, Overloaded, ServiceError
from service.logs import FIELDS
from service.shortage import SHORT, is_shortage
from service.trace import Trace

logger = logging.getLogger(__name__)

_STOPPED = Overloaded("the service stops before this is done (GLIMPSE_GRACE_SECONDS): ask another one")


def explain(error: BaseException, trace: Trace) -> ServiceError:
    """The failure that the caller sees of what was raised, be it our own, a stop or something that broke."""
    if isinstance(error, ServiceError):
        return error
    fields = {FIELDS: {"request_id": trace.request_id}}
    if isinstance(error, asyncio.CancelledError):  # the time to finish after SIGTERM is over
        logger.warning("cut off: the service stops", extra=fields)
        return _STOPPED
    if is_shortage(error):
        logger.warning("put off: %s", str(error) or type(error).__name__, extra=fields)
        return SHORT
    logger.error("a request failed", exc_info=error, extra=fields)
    return InternalError()
