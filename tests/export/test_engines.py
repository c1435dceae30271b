"""Accuracy by other engines, measured with a committed bundle's golden pictures as the test split."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from export.engines import accuracy_by_engine
from export.measure import evaluate
from service import openvino
from service.bundle import read_bundle
from service.imaging import decode
from service.session import open_session
from tests.support import newest
from train.data import Pixels


@pytest.fixture(scope="module")
def graph(artifacts: Path) -> bytes:
    return read_bundle(newest(artifacts / "cnn")).graph("int8").read_bytes()


@pytest.fixture(scope="module")
def pixels(artifacts: Path) -> Pixels:
    """Half of them with labels that no answer is right by."""
    bundle = read_bundle(newest(artifacts / "cnn"))
    size, golden = bundle.manifest.input, bundle.golden
    images = np.stack([decode(one, size.height, size.width) for one in golden.pictures])
    labels = golden.probabilities["int8"].argmax(axis=1)
    labels[::2] = (labels[::2] + 1) % len(bundle.manifest.class_names)
    indices = torch.arange(len(images))
    return Pixels(torch.from_numpy(images), indices, torch.from_numpy(labels), [""] * len(images))


def test_amx_engine_is_as_accurate_as_onnx_runtimes_own_kernels(
    graph: bytes, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    monkeypatch.setattr("export.engines.cpu_has", lambda _: True)
    own = evaluate(open_session(graph), pixels).accuracy
    assert 0 < own < 1
    assert accuracy_by_engine(graph, pixels) == {"amx": own}


def test_cpu_whose_sums_may_overflow_measures_nothing(
    graph: bytes, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    monkeypatch.setattr("export.engines.cpu_has", lambda _: False)
    assert accuracy_by_engine(graph, pixels) == {}


class FailsLate:
    """A session that can't compute what it has loaded."""

    def run(self, *_: object) -> None:
        raise RuntimeError("it does not know this operator")


@pytest.mark.parametrize("when", ["it is loaded", "it computes"])
def test_engine_that_can_not_compute_it_here_is_left_out_with_its_reason(
    when: str,
    graph: bytes,
    pixels: Pixels,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> FailsLate:
        if when == "it computes":
            return FailsLate()
        raise openvino.OpenVinoError("it does not know this operator")

    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr("export.engines.cpu_has", lambda _: False)
    monkeypatch.setattr(openvino, "open_session", refuse)
    with caplog.at_level(logging.INFO):
        assert accuracy_by_engine(graph, pixels) == {}
    assert re.search("not measured by openvino: .*it does not know this operator", caplog.text)


def test_plugin_is_measured_where_it_has_something_for_this_cpu(graph: bytes, pixels: Pixels) -> None:
    try:
        openvino.find_cpu()
    except openvino.OpenVinoError as error:
        pytest.skip(str(error))
    own = evaluate(open_session(graph), pixels).accuracy
    assert accuracy_by_engine(graph, pixels)["openvino"] == own  # golden pictures are far from any limit
