"""A graph in, a session of OpenVINO's plugin for ONNX Runtime out, where that is installed."""

import importlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime

PACKAGE = "onnxruntime-ep-openvino"
_MODULE = PACKAGE.replace("-", "_")


class OpenVinoError(Exception):
    """The plugin is not installed, or has nothing for this CPU or this graph."""


def is_installed() -> bool:
    """Whether the package is there; whether it works is for `open_session` to find out."""
    return importlib.util.find_spec(_MODULE) is not None


def open_session(
    graph: Path | bytes, options: onnxruntime.SessionOptions, threads: int
) -> onnxruntime.InferenceSession:
    """A session that computes in the calling thread and threads - 1 others.

    Raises:
        OpenVinoError: there is no plugin, or it computes nothing here.
    """
    device = find_cpu()
    # Else it takes a thread for each CPU, binds it to that one, the same in every process, and rounds what is
    # float to 16 bits where the CPU multiplies those faster.
    properties = {
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    options.add_provider_for_devices([device], {"load_config": json.dumps({"CPU": properties})})
    # With the fallback, a failure would leave ONNX Runtime's own kernels in its place without a word.
    session = onnxruntime.InferenceSession(graph, options, enable_fallback=0)
    if device.ep_name not in session.get_providers():
        raise OpenVinoError(f"{PACKAGE} computes nothing of it: choose another GLIMPSE_ENGINE")
    return session


def find_cpu() -> Any:  # noqa: ANN401 - ONNX Runtime's devices have no type
    """What stands for the CPU in the plugin.

    Raises:
        OpenVinoError: there is no plugin, or it has nothing for this CPU.
    """
    if not is_installed():
        raise OpenVinoError(
            f"{PACKAGE} is not installed: install it (requirements-openvino.txt), or choose another "
            "GLIMPSE_ENGINE"
        )
    name = _register()
    for device in onnxruntime.get_ep_devices():
        if device.ep_name == name and device.ep_metadata.get("ov_device") == "CPU":
            return device
    raise OpenVinoError(
        f"{PACKAGE} does not offer this CPU, as it supports Intel's: choose another GLIMPSE_ENGINE"
    )


@cache
def _register() -> str:
    """Load the plugin, which a process may do once, and give the name of what it provides."""
    plugin = importlib.import_module(_MODULE)
    name: str = plugin.get_ep_name()
    onnxruntime.register_execution_provider_library(name, plugin.get_library_path())
    return name
