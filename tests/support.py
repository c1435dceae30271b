"""Made pictures and commands that several tests share."""

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from PIL import Image, ImageDraw
from prometheus_client.parser import text_string_to_metric_families
from torch import nn

from service.bundle import sha256
from service.errors import InternalError, ServiceError

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "loadtest" / "pictures"


def service_command() -> list[str]:
    """Starts the real service with this interpreter."""
    return [sys.executable, "-m", "service"]


def newest(model: Path) -> Path:
    """The highest version of artifacts/<model>."""
    return max(model.iterdir(), key=lambda folder: int(folder.name))


def rename_a_class(bundle: Path) -> None:
    """In the graphs too, which name their classes; as long a name leaves their other bytes where they are."""
    for graph in bundle.glob("*.onnx"):
        graph.write_bytes(graph.read_bytes().replace(b"airplane", b"airliner"))
    manifest = json.loads((bundle / "manifest.json").read_text().replace("airplane", "airliner"))
    manifest["files"] = {name: sha256((bundle / name).read_bytes()) for name in manifest["files"]}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def encode(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    """A picture as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def gradient(width: int = 40, height: int = 30) -> Image.Image:
    """A smooth picture with no symmetry, so that any turn or mirror shows; JPEG keeps it closely."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    pixels = np.stack([255 * x, 255 * y, 128 * x * y + 60], axis=2)
    return Image.fromarray(pixels.round().astype(np.uint8))


def tiny_network(num_classes: int) -> nn.Module:
    """A network with all that makes training hard to repeat: batch norm, dropout, few steps' memory."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(128, num_classes),
    )


class Shapes:
    """Pictures of coloured shapes, of odd sizes and formats."""

    CLASS_NAMES = ("blue ring", "grüne Fläche", "red bar")
    _SUFFIXES = ("png", "jpg", "bmp", "webp", "tiff", "gif")

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def draw(self, name: str) -> Image.Image:
        """One picture of the class, 20 to 60 pixels a side, on a noisy ground."""
        width, height = (int(side) for side in self._rng.integers(20, 60, 2))
        ground = self._rng.integers(90, 160, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(ground)
        draw = ImageDraw.Draw(image)
        box = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
        if name == "blue ring":
            draw.ellipse(box, outline="blue", width=4)
        elif name == "red bar":
            draw.rectangle((0, height // 3, width, height // 2), fill="red")
        else:
            draw.rectangle(box, fill="green")
        return image

    def write_odd(self, folder: Path, pictures: int = 30) -> dict[str, str]:
        """FOLDER/CLASS/* as people have them: any script, spaces, what is broken and what is no picture.

        Returns what the class of each shape is called there.
        """
        called = dict(zip(self.CLASS_NAMES, ("青い 輪", "grüne Fläche", "красная полоса"), strict=True))
        for name, class_name in called.items():
            target = folder / class_name
            target.mkdir(parents=True)
            for index in range(pictures):
                suffix = self._SUFFIXES[index % len(self._SUFFIXES)]
                mode = ("RGB", "RGBA", "P")[index // 6 % 3] if suffix == "png" else "RGB"
                self.draw(name).convert(mode).save(target / f"фото № {index}.{suffix}")
        first = folder / called["red bar"]
        (first / "Thumbs.db").write_bytes(b"\0" * 100)
        (first / "broken off.jpg").write_bytes(encode(self.draw("red bar"), "JPEG")[:200])
        (first / "copy of 0.png").write_bytes((first / "фото № 0.png").read_bytes())
        (first / ".hidden").touch()
        return called

    def write(self, folder: Path, train: int = 24, test: int = 8) -> None:
        """FOLDER/{train,test}/CLASS/, with that many pictures a class."""
        for split, count in (("train", train), ("test", test)):
            for name in self.CLASS_NAMES:
                target = folder / split / name
                target.mkdir(parents=True)
                for index in range(count):
                    suffix = self._SUFFIXES[index % len(self._SUFFIXES)]
                    self.draw(name).save(target / f"{name} {index}.{suffix}")


def callers_failures(base: type[ServiceError] = ServiceError) -> set[tuple[int, str]]:
    """Status and code of every failure that is answered."""
    own = {(base.status, base.code)} if base.status != InternalError.status else set()
    return own.union(*(callers_failures(one) for one in base.__subclasses__()))


def counted(client: httpx.Client, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels among theirs."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether it holds by then; a service counts a request only after it has answered it."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
