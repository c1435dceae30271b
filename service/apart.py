"""Large pictures in, their pixels out, decoded beside the event loop by processes of their own."""

from typing import NamedTuple

from service.bundle import InputSpec
from service.errors import HungryImage, Overloaded
from service.jpeg import is_one_pass
from service.lane import ThreadLane
from service.sandbox import Sandbox
from service.settings import Settings
from service.trace import Trace
from service.turn import Pixels

_WAITS = 20  # times as long as usual pictures may
# A photo of 50 megapixels takes half of it, for its file and for its pixels at a reduced scale.
ONE_PASS_BYTES = 64_000_000
_OF_MEMORY = 6  # times a file that is decoded there: its metadata may be held some times


class Heavy(NamedTuple):
    """A picture that is not to be decoded in the event loop; its header may be known to be sound."""

    data: bytes
    is_header_read: bool


class DecodersApart:
    """A process for any picture, and one with little memory for JPEGs of one pass, as cameras write them.

    Photos that come together would wait for each other, while another CPU has nothing to do, and for whatever
    slow picture came before them. A second process for any would double the most memory that a worker takes.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the bounds on a picture's time and memory, and on how long usual ones may wait."""
        self._any = _Decoder("any", settings, settings.decode_bytes)
        self._one_pass = _Decoder("one-pass", settings, min(ONE_PASS_BYTES, settings.decode_bytes))

    def start(self) -> None:
        """Have threads and processes ready before there is a picture for them.

        Raises:
            OSError: there is no process, descriptor or memory left for one.
        """
        for decoder in (self._any, self._one_pass):
            decoder.lane.start()
            decoder.sandbox.start()

    def close(self) -> None:
        """End the processes."""
        for decoder in (self._any, self._one_pass):
            decoder.sandbox.close()

    async def decode(
        self, picture: Heavy, size: InputSpec, trace: Trace, *, admitted: bool = False
    ) -> Pixels:
        """Pixels, (height, width, 3), at the model's size.

        Args:
            picture: what to decode.
            size: the model's.
            trace: of the request.
            admitted: it has got its first turn, and so gets this one, however late.

        Raises:
            ImageError: it can't be decoded within the bounds.
            Overloaded: it would not start in time, or there is no process to decode it with.
        """
        if self._is_for_one_pass(picture.data):
            try:
                return await self._one_pass.decode(picture, size, trace, admitted=admitted)
            except (HungryImage, Overloaded):  # the other has more memory, and may have a process or room
                pass
        return await self._any.decode(picture, size, trace, admitted=admitted)

    def _is_for_one_pass(self, data: bytes) -> bool:
        is_crowded = self._one_pass.lane.is_busy and not self._any.lane.is_busy
        return not is_crowded and _OF_MEMORY * len(data) <= self._one_pass.memory and is_one_pass(data)


class _Decoder:
    """A process, and the thread that waits for it."""

    def __init__(self, name: str, settings: Settings, memory: int) -> None:
        self.lane = ThreadLane(name, _WAITS * settings.max_wait_ms / 1000)
        self.memory = memory
        self.sandbox = Sandbox(settings.limits, settings.decode_seconds, memory)

    async def decode(self, picture: Heavy, size: InputSpec, trace: Trace, *, admitted: bool) -> Pixels:
        def work() -> Pixels:
            with trace.stage("decode"):
                return self.sandbox.decode(
                    picture.data, size.height, size.width, is_header_read=picture.is_header_read
                )

        return await self.lane.run(work, trace, admitted=admitted)
