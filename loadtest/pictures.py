"""The small pictures in loadtest/pictures in, the same as a website or a phone would send them out."""

import io
import random
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent / "pictures"
WEB_SIZE, PHONE_SIZE = (640, 480), (4000, 3000)
# A smooth enlargement alone would be a tenth of a photo's file; this much grain makes 12 megapixels 3 MB.
_GRAIN = 0.12


def names() -> list[str]:
    """What the pictures show, in the order of their names."""
    return sorted(path.stem for path in FOLDER.glob("*.png"))


def png(name: str) -> bytes:
    """The picture as it is: 32x32."""
    return (FOLDER / f"{name}.png").read_bytes()


def jpeg(name: str, size: tuple[int, int]) -> bytes:
    """The picture enlarged to (width, height), with a camera's grain; the same bytes each time."""
    with Image.open(FOLDER / f"{name}.png") as small:
        picture = small.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    noise = random.Random(0).randbytes(size[0] * size[1])  # noqa: S311 - grain, not a secret
    grain = Image.frombytes("L", size, noise).convert("RGB")
    buffer = io.BytesIO()
    Image.blend(picture, grain, _GRAIN).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
