import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.errors import (
    HungryImage,
    ImageTooLarge,
    Overloaded,
    SlowImage,
    UndecodableImage,
    UnsupportedFormat,
)
from service.imaging import Limits, decode
from service.sandbox import Sandbox
from tests.support import encode, gradient

MEMORY = 300_000_000


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    one = Sandbox(Limits(), 10, MEMORY)
    yield one
    one.close()


def test_pixels_are_those_of_the_decoder(sandbox: Sandbox) -> None:
    data = encode(gradient(3000, 2000), "JPEG")
    assert np.array_equal(sandbox.decode(data, 32, 24), decode(data, 32, 24))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"hello", UnsupportedFormat),
        (encode(gradient())[:-40], UndecodableImage),
        (encode(Image.new("1", (12_001, 1))), ImageTooLarge),
    ],
)
def test_refusals_are_those_of_the_decoder(sandbox: Sandbox, data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        sandbox.decode(data, 8, 8)


def test_one_process_decodes_many_pictures(sandbox: Sandbox) -> None:
    sandbox.decode(encode(gradient()), 8, 8)
    process = sandbox._process
    sandbox.decode(encode(gradient()), 8, 8)
    assert sandbox._process is process


def test_picture_over_the_memory_is_refused_and_the_next_decoded() -> None:
    sandbox = Sandbox(Limits(), 10, 20_000_000)
    with pytest.raises(HungryImage, match="GLIMPSE_DECODE_BYTES"):
        sandbox.decode(encode(Image.new("RGB", (6000, 5000))), 8, 8)
    assert sandbox.decode(encode(gradient()), 8, 8).shape == (8, 8, 3)
    sandbox.close()


@pytest.mark.alone
def test_picture_over_the_time_is_given_up_and_the_next_decoded() -> None:
    slow = encode(Image.effect_noise((5000, 5000), 50), compress_level=1)
    sandbox = Sandbox(Limits(), 0.05, MEMORY)
    sandbox.start()
    time.sleep(1)  # until the process has imported what it needs
    with pytest.raises(SlowImage, match="GLIMPSE_DECODE_SECONDS"):
        sandbox.decode(slow, 8, 8)
    time.sleep(1)
    assert sandbox.decode(encode(gradient()), 8, 8).shape == (8, 8, 3)
    sandbox.close()


def test_picture_is_put_off_where_no_process_can_be_started_and_decoded_once_one_can(
    sandbox: Sandbox,
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        with Path(os.devnull).open() as newest:  # pipes would take the numbers from here on
            resource.setrlimit(resource.RLIMIT_NOFILE, (newest.fileno(), before[1]))
        with pytest.raises(Overloaded, match="send it again"):
            sandbox.decode(encode(gradient()), 8, 8)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert sandbox.decode(encode(gradient()), 8, 8).shape == (8, 8, 3)


def test_picture_takes_no_thread_of_its_own(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:  # root may have threads without end, so no limit would do
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert sandbox.decode(encode(gradient()), 8, 8).shape == (8, 8, 3)


def test_decoding_process_is_the_first_that_the_kernel_would_kill(sandbox: Sandbox) -> None:
    sandbox.decode(encode(gradient()), 8, 8)
    scores = [
        int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (os.getpid(), sandbox.start().pid)
    ]
    assert scores[0] < scores[1] == 900


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit, of util-linux")
def test_memory_that_is_limited_from_outside_stays_so() -> None:
    command = ["prlimit", f"--data={20 * MEMORY}", sys.executable, "-m", "service.decoder", str(40 * MEMORY)]
    decoder = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=60)
    assert (decoder.returncode, decoder.stderr) == (0, b"")
