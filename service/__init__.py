"""Encoded pictures in over HTTP, classes and calibrated confidences out. Never imports PyTorch."""

import os

# ONNX Runtime tells its makers about every session, unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
