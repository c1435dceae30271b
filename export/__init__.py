"""A checkpoint in, a bundle that the service can trust out."""

import service  # noqa: F401 - it keeps ONNX Runtime, which modules here import, from telling of its sessions
