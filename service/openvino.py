"""OpenVINO's plugin for ONNX Runtime, where somebody has installed it: a part of the session's options."""

import importlib
import importlib.util
import json
from functools import cache
from typing import Any

import onnxruntime

PACKAGE = "onnxruntime-ep-openvino"
_MODULE = PACKAGE.replace("-", "_")


class OpenVinoError(Exception):
    """The plugin is not installed, or has nothing for this CPU."""


def is_installed() -> bool:
    """Whether the package is there; whether it works is for `add_to` to find out."""
    return importlib.util.find_spec(_MODULE) is not None


def add_to(options: onnxruntime.SessionOptions, threads: int) -> None:
    """Have the session computed by OpenVINO, in the calling thread and threads - 1 others.

    Raises:
        OpenVinoError: there is no plugin, or it offers no device.
    """
    # Else it takes a thread for each CPU, binds it to that one, the same in every process, and rounds what is
    # float to 16 bits where the CPU multiplies those faster.
    properties = {
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    options.add_provider_for_devices([find_cpu()], {"load_config": json.dumps({"CPU": properties})})


@cache
def find_cpu() -> Any:  # noqa: ANN401 - ONNX Runtime's devices have no type
    """Load the plugin, once for the process, and find its device."""
    if not is_installed():
        raise OpenVinoError(f"{PACKAGE} is not installed: install it, or choose another engine")
    plugin = importlib.import_module(_MODULE)
    name = plugin.get_ep_name()
    onnxruntime.register_execution_provider_library(name, plugin.get_library_path())
    for device in onnxruntime.get_ep_devices():
        if device.ep_name == name and device.ep_metadata.get("ov_device") == "CPU":
            return device
    raise OpenVinoError(
        f"{PACKAGE} computes nothing on this CPU, which is not Intel's: choose another engine"
    )
