"""Three replicas behind nginx: one is killed and all are replaced, and no caller notices."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from loadtest.address import Address
from loadtest.server import START_SECONDS, STOP_SECONDS, check_ready, free_port
from tests.deploy.proxy import NGINX, Proxy, running_nginx
from tests.support import PICTURES, eventually, service_command

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian's nginx-light)")

CAT = (PICTURES / "cat.png").read_bytes()
BATCH = [("files", ("cat.png", CAT))] * 64
PAUSE = 0.05  # seconds between a caller's requests, so that all stay below what nginx lets one address send
# Lost requests are looked for, not those for which there is no room on CPUs that all share.
PATIENT = "20000"


class Replica:
    """A service at a port of its own, which can be started there again."""

    def __init__(self, artifacts: Path, max_wait_ms: str = PATIENT) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._settings = {
            "GLIMPSE_ARTIFACTS": str(artifacts),
            "GLIMPSE_PORT": str(self._port),
            "GLIMPSE_WORKERS": "1",
            "GLIMPSE_DRAIN_SECONDS": "0.5",
            "GLIMPSE_MAX_WAIT_MS": max_wait_ms,
        }
        self.start()

    def start(self) -> None:
        """Start it; it may not be ready yet."""
        self.process = subprocess.Popen(service_command(), env={**os.environ, **self._settings})

    def wait(self) -> None:
        """Until it is ready."""
        check_ready(Address(self.url), START_SECONDS)

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.process.terminate()
        assert self.process.wait(STOP_SECONDS) == 0

    def kill(self) -> None:
        """All its processes at once, as a container's or a machine's end does."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            os.kill(one, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Leave nothing running."""
        if self.process.poll() is None:
            self.stop()


@pytest.fixture(scope="module")
def replicas(artifacts: Path) -> Iterator[list[Replica]]:
    started = [Replica(artifacts) for _ in range(3)]
    try:
        for one in started:
            one.wait()
        yield started
    finally:
        for one in started:
            one.process.terminate()
        for one in started:
            one.close()


@pytest.fixture
def proxy(replicas: list[Replica], tmp_path: Path) -> Iterator[Proxy]:
    with running_nginx(tmp_path, [one.url for one in replicas]) as running:
        yield running


class Load:
    """What callers were answered."""

    def __init__(self) -> None:
        self.answers: Counter[int | str] = Counter()
        self._lock = threading.Lock()

    def note(self, answer: int | str) -> None:
        with self._lock:
            self.answers[answer] += 1

    def wait_for(self, more: int) -> None:
        """Until so many more answers have come."""
        enough = self.answers.total() + more
        assert eventually(lambda: self.answers.total() >= enough, 60)


@contextmanager
def load_on(url: str) -> Iterator[Load]:
    """Four callers with one picture after the other, and one with batches that take their time."""
    load, stop = Load(), threading.Event()

    def ask_on(ask: Callable[[httpx.Client], httpx.Response]) -> None:
        with httpx.Client(base_url=url, timeout=60) as http:
            while not stop.is_set():
                try:
                    load.note(ask(http).status_code)
                except httpx.TransportError as error:
                    load.note(repr(error))
                time.sleep(PAUSE)

    with ThreadPoolExecutor(5) as pool:
        callers = [pool.submit(ask_on, lambda http: http.post("/classify", content=CAT)) for _ in range(4)]
        callers.append(pool.submit(ask_on, lambda http: http.post("/classify/batch", files=BATCH)))
        try:
            yield load
        finally:
            stop.set()
        for one in callers:
            one.result()


def asked_twice(proxy: Proxy) -> list[str]:
    """The replicas that nginx asked for each request that the first could not answer."""
    lines = map(json.loads, proxy.log.read_text(encoding="utf-8").splitlines())
    return [line["replicas"] for line in lines if "," in line["replicas"]]


def test_killed_replica_costs_no_request(replicas: list[Replica], proxy: Proxy) -> None:
    with load_on(proxy.url) as load:
        load.wait_for(50)
        replicas[0].kill()
        load.wait_for(100)
        replicas[0].start()
        replicas[0].wait()
        load.wait_for(50)
    assert load.answers.keys() == {200}, load.answers
    assert asked_twice(proxy)


def test_replicas_are_replaced_one_after_the_other_and_no_request_is_lost(
    replicas: list[Replica], proxy: Proxy
) -> None:
    with load_on(proxy.url) as load:
        load.wait_for(20)
        for one in replicas:
            one.stop()
            one.start()
            one.wait()
            load.wait_for(20)
    assert load.answers.keys() == {200}, load.answers
    assert asked_twice(proxy)


def test_what_one_replica_has_no_room_for_another_answers(
    replicas: list[Replica], artifacts: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        impatient = Replica(artifacts, max_wait_ms="0.001")
        stack.callback(impatient.close)
        impatient.wait()
        proxy = stack.enter_context(running_nginx(tmp_path, [impatient.url, replicas[0].url]))
        with ThreadPoolExecutor(8) as pool:
            send = partial(httpx.post, f"{proxy.url}/classify", content=CAT, timeout=60)
            statuses = {one.status_code for one in pool.map(lambda _: send(), range(100))}
    assert statuses == {200}
    assert "503, 200" in proxy.log.read_text(encoding="utf-8")
