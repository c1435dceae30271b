"""A folder on disk in, a verified manifest and paths out: the contract between export and service."""

import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from service.errors import BundleError

MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
VariantName = Literal["fp32", "int8"]
# ONNX Runtime's own kernels; the same, with weights written so that they multiply by AMX; OpenVINO's plugin.
EngineName = Literal["onnxruntime", "amx", "openvino"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(_Frozen):
    """What the graph takes: uint8 (N, height, width, 3)."""

    height: int = Field(ge=1)
    width: int = Field(ge=1)
    colour: Literal["RGB"] = "RGB"
    resize: Literal["bilinear"] = "bilinear"


class Variant(_Frozen):
    """One graph of the network, and what was measured with it."""

    file: str
    size_bytes: int
    accuracy: float = Field(ge=0, le=1, description="on the test pictures")
    test_count: int = Field(ge=1)
    held_out_count: int = Field(ge=1, description="pictures that the calibration below rests on")
    ece: float = Field(ge=0, le=1, description="expected calibration error on test, 15 bins")
    temperature: float = Field(gt=0, description="before softmax, a logit was divided by it")
    curvature: float = Field(
        default=0,
        ge=0,
        description="times a logit's squared distance from the largest, taken off before softmax",
    )
    prediction_set_alpha: float = Field(gt=0, lt=1, description="share of true classes a set may miss")
    prediction_set_quantile: float = Field(
        ge=0, le=1, description="a set holds each class with p >= 1 - this"
    )
    coverage: float = Field(ge=0, le=1, description="share of test pictures whose set holds their class")
    mean_set_size: float = Field(ge=0, description="classes in a prediction set, on test")
    low_confidence_threshold: float = Field(ge=0, le=1, description="a largest p below it is low confidence")
    unfamiliar_caught: float | None = Field(
        default=None, ge=0, le=1, description="share of unfamiliar pictures that are called low confidence"
    )
    agreement: float | None = Field(
        default=None, ge=0, le=1, description="share of test pictures that fp32 answers alike"
    )
    engines: dict[EngineName, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict,
        description="accuracy by each engine but ONNX Runtime's own kernels, if the export could measure it",
    )

    def accuracy_by(self, engine: EngineName) -> float:
        """As it was measured, or else that of ONNX Runtime's own kernels, which none is meant to change."""
        return self.engines.get(engine, self.accuracy)


class Provenance(_Frozen):
    """Where the weights came from."""

    dataset: str
    dataset_sha256: str
    measured_sha256: str | None = Field(default=None, description="of the data, where it changed since")
    split_seed: int
    recipe: dict[str, object]
    seed: int
    git_commit: str
    versions: dict[str, str]


class Gate(_Frozen):
    """A check that a variant passed."""

    variant: VariantName
    gate: str
    figure: float
    limit: str


def _all_different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a class is named twice")
    return names


class Manifest(_Frozen):
    """Everything about a bundle that is not in the graph's arithmetic."""

    schema_version: Literal[2] = 2
    name: str
    version: str
    architecture: str
    parameters: int
    class_names: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_all_different)]
    input: InputSpec
    files: dict[str, str] = Field(description="file name to SHA-256")
    variants: dict[VariantName, Variant] = Field(min_length=1)
    unfamiliar: str | None = Field(default=None, description="where the unfamiliar pictures came from")
    gates: tuple[Gate, ...]
    weights_sha256: str = Field(description="of the trained weights, by name")
    license: str
    provenance: Provenance


@dataclass(frozen=True)
class Golden:
    """Encoded pictures, and the probabilities, float32 (N, classes), that each variant must give for them.

    Those of fp32 are PyTorch's own.
    """

    pictures: tuple[bytes, ...]
    probabilities: Mapping[VariantName, NDArray[np.float32]]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are the ones its manifest names."""

    folder: Path
    manifest: Manifest
    golden: Golden

    def graph(self, variant: VariantName) -> Path:
        """The ONNX file of a variant."""
        return self.folder / self.manifest.variants[variant].file


def refuse_existing(folder: Path) -> None:
    """A bundle never changes once it is there.

    Raises:
        BundleError: `folder` exists.
    """
    if folder.exists():
        raise BundleError(f"{str(folder)!r} exists: bundles are never overwritten; choose another version")


def write_bundle(manifest: Manifest, files: Mapping[str, bytes], folder: Path) -> None:
    """Write beside the target and rename: the bundle is there whole, or not at all.

    Args:
        manifest: names the SHA-256 of those files that the service reads.
        files: contents by relative path.
        folder: <model>/<version>, where the bundle is to be.

    Raises:
        BundleError: `folder` exists, or can't be written; nothing is left of it then.
    """
    refuse_existing(folder)
    missing = [parent for parent in folder.parents if not parent.exists()]  # the deepest first
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _write_beside(manifest, files, folder)
    except BaseException as error:
        for parent in missing:
            with suppress(OSError):  # somebody else may have put something there
                parent.rmdir()
        if isinstance(error, OSError):
            raise BundleError(
                f"bundle {str(folder)!r} can't be written ({error.strerror}): free space on its disk, or see "
                "that you may write there, or name another folder with --to"
            ) from error
        raise


def _write_beside(manifest: Manifest, files: Mapping[str, bytes], folder: Path) -> None:
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(content)
        (partial / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.chmod(0o755)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read_bundle(folder: Path) -> Bundle:
    """Read the manifest and the golden pictures, and check every file against its SHA-256.

    Raises:
        BundleError: something is missing, changed, or of another schema.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        if missing := {GOLDEN, *(one.file for one in manifest.variants.values())} - manifest.files.keys():
            raise BundleError(
                f"bundle {str(folder)!r}: {MANIFEST}: files has no SHA-256 of {', '.join(missing)}"
            )
        for name, expected in manifest.files.items():
            if sha256((folder / name).read_bytes()) != expected:
                raise BundleError(
                    f"bundle {str(folder)!r}: {name} is not the file its manifest names; export again"
                )
        golden = decode_golden(folder / GOLDEN)
    except OSError as error:
        raise BundleError(f"bundle {str(folder)!r}: {error.strerror}: {error.filename}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise BundleError(f"bundle {str(folder)!r}: {MANIFEST}: {where}: {problem['msg']}") from error
    if (manifest.name, manifest.version) != (folder.parent.name, folder.name):
        raise BundleError(
            f"bundle {str(folder)!r} says that it is {manifest.name}/{manifest.version}: move it there"
        )
    return Bundle(folder, manifest, golden)


def sha256(content: bytes) -> str:
    """The hexadecimal digest that manifests hold."""
    return hashlib.sha256(content).hexdigest()


def encode_golden(golden: Golden) -> bytes:
    """The content of golden.npz: plain arrays, no pickle; the same pictures give the same bytes."""
    pictures = {f"picture_{i:03}": np.frombuffer(data, np.uint8) for i, data in enumerate(golden.pictures)}
    buffer = io.BytesIO()
    expected = {f"probabilities_{name}": array for name, array in sorted(golden.probabilities.items())}
    np.savez(buffer, allow_pickle=False, **expected, **pictures)
    return buffer.getvalue()


def decode_golden(path: Path) -> Golden:
    """Read what encode_golden wrote.

    Raises:
        BundleError: the file is not of that form.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = sorted(name for name in arrays.files if name.startswith("picture_"))
            probabilities = {
                variant: arrays[f"probabilities_{variant}"]
                for variant in get_args(VariantName)
                if f"probabilities_{variant}" in arrays.files
            }
            golden = Golden(tuple(arrays[name].tobytes() for name in names), probabilities)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{str(path)!r} holds no golden pictures: {error}; export again") from error
    if not golden.pictures:
        raise BundleError(f"{str(path)!r} holds no golden pictures: none is in it; export again")
    return golden
