"""Raw pixels in, what a network expects out; training and the exported graph share it."""

import torch
from torch import Tensor, nn

# One pair for all channels, near CIFAR-10's own. With these very numbers the raw byte is already a quantised
# activation (scale 1/64, zero point 121), so an int8 graph needs no arithmetic before its first layer.
PIXEL_MEAN = 121.0
PIXEL_STD = 64.0


class Normalize(nn.Module):
    """uint8 (N, H, W, 3) in 0..255 to float32 (N, 3, H, W), stored channels last, about -1.9..2.1."""

    def forward(self, images: Tensor) -> Tensor:
        """Cast, move channels, centre and scale."""
        return (images.permute(0, 3, 1, 2).to(torch.float32) - PIXEL_MEAN) / PIXEL_STD
