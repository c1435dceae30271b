"""A folder of pictures of none of the classes in, their pixels out."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.imaging import ImageError, decode
from train.sources import DataError


def read_unfamiliar(folder: Path, side: int) -> NDArray[np.uint8]:
    """Every readable picture under a folder, however deep, uint8 (N, side, side, 3).

    Raises:
        DataError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"--unfamiliar {str(folder)!r} is no folder: name one with pictures of other things")
    images = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            images.append(decode(path.read_bytes(), side, side))
        except ImageError:  # folders hold other files too
            continue
    if not images:
        raise DataError(f"--unfamiliar {str(folder)!r} holds no readable picture: put some in")
    return np.stack(images)
