"""New connections in, each to the worker that has the fewest: who hears of one first is chance.

On one socket a worker that wakes takes all that wait, and clients that keep their connections, as proxies do,
stay where they came: with two of them, one worker did all and the other nothing.
"""

import asyncio
import logging
import math
import socket
from collections.abc import Callable

from service.board import Board
from service.shortage import is_shortage

logger = logging.getLogger(__name__)

# How often and long a worker waits for one with fewer, which may be within a turn, before it takes more.
_WAITS, _WAIT_SECONDS = 6, 0.001
_MOST_AHEAD = 16  # that it takes then
_MOST_AT_ONCE = 64  # so that others are answered meanwhile, however many come
_SHORTAGE_SECONDS = 0.1
_SHORTAGE_SILENCE = 10.0  # seconds from one line of log on a shortage to the next


class Acceptor:
    """Takes a worker's share of the connections that come to a listening socket."""

    def __init__(self, listening: socket.socket, board: Board, worker: int) -> None:
        self._listening = listening
        self._board = board
        self._worker = worker
        self._tasks: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._waits = 0
        self._silent_until = -math.inf
        self._is_open = True  # after which its connections count no more

    def start(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        """Listen, and accept from now on; each connection's protocol tells `note_lost` when it is over."""
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._listening.settimeout(0)
        self._listening.listen(2048)
        self._board.set_in(self._worker)
        self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Accept nothing any more: who comes when all workers have closed is refused."""
        self._is_open = False
        self._board.set_out(self._worker)
        self._loop.remove_reader(self._listening)
        self._listening.close()
        if self._later is not None:
            self._later.cancel()

    def note_lost(self) -> None:
        """Count a connection that is over."""
        if self._is_open:
            self._board.add_connections(self._worker, -1)

    def _accept(self) -> None:
        """Take what waits until others have fewer; leave it to them for a while before taking more."""
        ahead = 0
        for _ in range(_MOST_AT_ONCE):
            if not self._board.is_ahead(self._worker):
                self._waits = 0
            elif self._waits < _WAITS:
                self._waits += 1
                self._pause(_WAIT_SECONDS)
                return
            elif ahead == _MOST_AHEAD:
                return
            else:
                ahead += 1
            if not self._take_one():
                return

    def _take_one(self) -> bool:
        """Whether one was there and could be had."""
        try:
            connection = self._listening.accept()[0]
        except OSError as error:  # mostly because there is none left
            self._waits = 0
            if is_shortage(error):
                self._put_off(error)
            return False
        self._board.add_connections(self._worker, 1)
        task = self._loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except Exception:
            self.note_lost()
            connection.close()
            raise

    def _put_off(self, shortage: OSError) -> None:
        """Try again when some connections may be over."""
        now = self._loop.time()
        if now >= self._silent_until:
            self._silent_until = now + _SHORTAGE_SILENCE
            logger.warning("connections have to wait: %s", shortage.strerror)
        self._pause(_SHORTAGE_SECONDS)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._later = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._later = None
        self._loop.add_reader(self._listening, self._accept)
        self._accept()
