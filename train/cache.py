"""A listing in, its pictures decoded at one size and kept in a memory-mapped file out."""

import hashlib
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from service import imaging
from train.sources import Listing

CACHE = Path("data") / "cache"
_IMAGES = "images.npy"
_DIGESTS = "digests.npy"
_PROBLEMS = "problems.json"
_DIGEST_BYTES = 16
_CHUNK = 64  # pictures that a worker decodes before it reports
_HEADER_BYTES = 4096  # an .npy file's header has fewer


@dataclass(frozen=True)
class Decoded:
    """All pictures of a listing, in its order.

    images: uint8 (N, side, side, 3), mapped from disk; black where a picture is unreadable.
    digests: uint8 (N, 16) of each picture's pixels.
    problems: why a picture is unreadable, by its index.
    """

    images: Tensor
    digests: NDArray[np.uint8]
    problems: dict[int, str]


def decode_listing(listing: Listing, side: int, cache: Path = CACHE) -> Decoded:
    """Decode every picture with the service's own code, in parallel, or find it decoded before.

    The pictures come from disk page by page as they are used, so that more of them than fit into memory can
    be trained on.

    Raises:
        OSError: the cache can't be written.
    """
    folder = cache / _key(listing, side)
    if not folder.is_dir():
        _fill(folder, listing, side)
    # Copy on write: PyTorch wants memory that it may write to, and the file must stay as it is.
    images = torch.from_numpy(np.load(folder / _IMAGES, mmap_mode="c"))
    problems = json.loads((folder / _PROBLEMS).read_text(encoding="utf-8"))
    return Decoded(images, np.load(folder / _DIGESTS), {int(i): problem for i, problem in problems.items()})


def _key(listing: Listing, side: int) -> str:
    """Names what would be decoded: it changes with any picture, the size, and the code that decodes."""
    digest = hashlib.sha256(f"{side}\0{PIL.__version__}\0".encode())
    digest.update(Path(imaging.__file__).read_bytes())
    for picture in listing.pictures:
        digest.update(picture.identity.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()[:32]


def _fill(folder: Path, listing: Listing, side: int) -> None:
    """Decode into a folder beside `folder`, then rename it: a cache is there whole, or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder.parent))
    try:
        images = _allocate(partial / _IMAGES, (len(listing), side, side, 3))
        digests = np.zeros((len(listing), _DIGEST_BYTES), np.uint8)
        problems = _decode_into(images, digests, listing, side)
        images.flush()
        np.save(partial / _DIGESTS, digests)
        (partial / _PROBLEMS).write_text(json.dumps(problems), encoding="utf-8")
        if not folder.is_dir():  # another run may have been as fast
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _allocate(path: Path, shape: tuple[int, ...]) -> "np.memmap[tuple[int, ...], np.dtype[np.uint8]]":
    # Reserved at once: a full disk is an error here, and would be a fatal signal in the middle of decoding.
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)) + _HEADER_BYTES)
    return np.lib.format.open_memmap(path, "w+", np.uint8, shape)


def _decode_into(
    images: NDArray[np.uint8], digests: NDArray[np.uint8], listing: Listing, side: int
) -> dict[int, str]:
    """Fill `images` and `digests`; what can't be read, and why."""

    def decode_chunk(start: int) -> list[tuple[int, str]]:
        found = []
        for index in range(start, min(start + _CHUNK, len(listing))):
            try:
                pixels = imaging.decode(listing.pictures[index].read(), side, side)
            except (imaging.ImageError, OSError) as error:
                found.append((index, str(error)))
                continue
            images[index] = pixels
            digest = hashlib.blake2b(pixels.tobytes(), digest_size=_DIGEST_BYTES)
            digests[index] = np.frombuffer(digest.digest(), np.uint8)
        return found

    problems: list[tuple[int, str]] = []
    with (
        ThreadPoolExecutor() as pool,
        tqdm(desc="decode", total=len(listing), unit="img", disable=None, leave=False) as bar,
    ):
        for found in pool.map(decode_chunk, range(0, len(listing), _CHUNK)):
            problems += found
            bar.update(min(_CHUNK, len(listing) - bar.n))
    return dict(problems)
