"""Bodies in, a count of what this process holds of them at a time, and a bound on it, out."""

from typing import Self

from service.errors import Overloaded


class Buffer:
    """The bytes of bodies that this process holds at a time, over all its requests.

    They count until a request is done, not only while they come: pictures wait for their turns, and a batch
    may take its time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    def body(self) -> "BufferedBody":
        """A body that counts until the end of its context."""
        return BufferedBody(self)

    def take(self, count: int) -> None:
        """Count bytes that came.

        Raises:
            Overloaded: there are too many.
        """
        if self._held + count > self._limit:
            raise Overloaded(
                f"bodies of more than {self._limit} bytes are being held (GLIMPSE_MAX_BUFFERED_BYTES): "
                "try again after the seconds in Retry-After",
                retry_after=1,
            )
        self._held += count

    def give_back(self, count: int) -> None:
        """Count bytes no more."""
        self._held -= count


class BufferedBody:
    """What has come of one body."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._data = bytearray()
        self.count = 0  # of bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._buffer.give_back(self.count)

    def hold(self, count: int) -> None:
        """Count bytes that are kept elsewhere."""
        self._buffer.take(count)
        self.count += count

    def add(self, chunk: bytes) -> None:
        """Append what came."""
        self.hold(len(chunk))
        self._data += chunk

    def take_all(self) -> bytes:
        """What came, as one; it is kept here no longer, but still counts."""
        data = bytes(self._data)
        self._data.clear()
        return data
