"""Lets torchvision import beside a CPU build of PyTorch when torchvision itself was built for CUDA.

Such a torchvision fails at import with "operator torchvision::nms does not exist", because its compiled
operators could not be loaded. Glimpse uses none of them, so declaring their schemas is enough.
"""

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_libraries: list[torch.library.Library] = []  # a schema lives only as long as its Library object


def import_torchvision() -> None:
    """Import torchvision, declaring its missing operators first where its own library does not load."""
    try:
        import torchvision  # noqa: PLC0415
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS.values():
            library.define(schema)
        _libraries.append(library)
        import torchvision  # noqa: F401, PLC0415
