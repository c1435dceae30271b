"""An exception in, whether it says that the machine has nothing left for a request out."""

import errno

from service.errors import Overloaded

_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_NO_THREAD = "can't start new thread"  # CPython has no exception of its own for it
SHORT = Overloaded(
    "the service has no memory, descriptor or thread left for this now: try again after the seconds in "
    "Retry-After"
)


def is_shortage(error: BaseException) -> bool:
    """Whether memory, a descriptor or a thread could not be had: nobody's mistake, and soon over."""
    if isinstance(error, OSError):
        return error.errno in _ERRNOS
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_THREAD in str(error))
