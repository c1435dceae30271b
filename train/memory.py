"""Keeps freed memory in the process, so that each step finds its activations' pages already mapped."""

import ctypes

# From <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_TOP_PAD_BYTES = 512 * 1024**2


def keep_freed_memory() -> None:
    """Tell glibc not to hand large blocks back to the kernel; elsewhere, do nothing.

    PyTorch frees its activations at every step. By default glibc unmaps blocks of that size, and the kernel
    clears them anew page by page: in the small CNN's steps that was half of the time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return
    for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, _TOP_PAD_BYTES)):
        mallopt(parameter, value)
