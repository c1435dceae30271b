"""The repository's small pictures in, one file of every accepted format and oddity out."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

TEXT = "not-a-picture.jpg"
_ORIENTATION, _LIES_ON_ITS_SIDE = 0x0112, 6


def make_pictures(source_folder: Path, folder: Path) -> None:
    """Write one picture of each kind, named by what it shows, and a text.

    Raises:
        FileNotFoundError: the pictures of the repository are not there.
    """
    for name, make in KINDS.items():
        source = source_folder / f"{name.partition('-')[0].partition('.')[0]}.png"
        if not source.is_file():
            raise FileNotFoundError(f"{source}: not there; the demo needs a whole clone of the repository")
        with Image.open(source) as image:
            make(image.convert("RGB"), folder / name)
    (folder / TEXT).write_text("I am no picture, whatever my name says.\n", encoding="utf-8")


def _plain(image: Image.Image, target: Path) -> None:
    image.save(target)


def _cmyk(image: Image.Image, target: Path) -> None:
    image.convert("CMYK").save(target, quality=95)


def _deep_grey(image: Image.Image, target: Path) -> None:
    wide = image.convert("L").convert("I").point(lambda value: value * 257)
    wide.convert("I;16").save(target)


def _see_through(image: Image.Image, target: Path) -> None:
    image.quantize(128).save(target, transparency=0)


def _on_its_side(image: Image.Image, target: Path) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = _LIES_ON_ITS_SIDE
    image.transpose(Image.Transpose.ROTATE_90).save(target, exif=exif, quality=95)


def _moving(image: Image.Image, target: Path) -> None:
    frames = [image.transpose(Image.Transpose.ROTATE_180), Image.new("RGB", image.size)]
    image.save(target, save_all=True, append_images=frames, duration=200)


def _large(image: Image.Image, target: Path) -> None:
    image.resize((4000, 3000), Image.Resampling.BICUBIC).save(target, quality=90)


KINDS: dict[str, Callable[[Image.Image, Path], None]] = {
    "airplane.jpg": _plain,
    "bird.bmp": _plain,
    "cat.png": _plain,
    "cat-12-megapixels.jpg": _large,
    "cat-moving.gif": _moving,
    "deer.webp": _plain,
    "dog.gif": _plain,
    "frog-cmyk.jpg": _cmyk,
    "frog-see-through-palette.png": _see_through,
    "horse-16-bit-grey.png": _deep_grey,
    "ship.tiff": _plain,
    "truck-on-its-side.jpg": _on_its_side,
}
