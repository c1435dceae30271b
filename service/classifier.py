"""uint8 pixels in, calibrated probabilities out: one bundle's graph, computed by one engine."""

import json
import logging

import numpy as np
from numpy.typing import NDArray

from service import imaging
from service.bundle import Bundle, EngineName, Manifest, Variant, VariantName
from service.errors import BundleError
from service.session import open_session

logger = logging.getLogger(__name__)

# ONNX Runtime, PyTorch and different CPUs add float32 in different orders; 8-bit steps are coarser, and where
# a CPU's integer instructions saturate, answers are further off than this. So they are with wrong pixels or
# weights.
GOLDEN_TOLERANCE: dict[VariantName, float] = {"fp32": 2e-3, "int8": 5e-2}


_NO_MEMORY = "Failed to allocate memory"  # as ONNX Runtime's arena has it


class Classifier:
    """A warm session. `predict` may be called from several threads at once."""

    def __init__(
        self,
        bundle: Bundle,
        variant: VariantName = "fp32",
        threads: int = 1,
        engine: EngineName = "onnxruntime",
    ) -> None:
        """Load the variant's graph, to be computed by `threads` of an engine, and check it.

        Raises:
            BundleError: it can't be loaded, or does not agree with its golden pictures or class names.
        """
        self._bundle = bundle
        self.manifest: Manifest = bundle.manifest
        self.variant_name: VariantName = variant
        self.variant: Variant = bundle.manifest.variants[variant]
        self.examples = bundle.golden.pictures  # PNG files
        self.engine: EngineName = engine
        self.most_threads = self._threads = threads
        self._is_spoilt = False  # gave answers to other pictures
        self._session = self._wide_session = open_session(bundle.graph(variant), threads, engine)
        self._check_golden(bundle)
        self._check_class_names(bundle)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.manifest.class_names

    def decode(
        self, data: bytes, limits: imaging.Limits, *, most_work: float | None = None
    ) -> NDArray[np.uint8]:
        """A picture's bytes to pixels of this network's size, uint8 (height, width, 3)."""
        size = self.manifest.input
        return imaging.decode(data, size.height, size.width, limits, most_work=most_work)

    def predict(self, images: NDArray[np.uint8], *, wide: bool = False) -> NDArray[np.float32]:
        """uint8 (N, height, width, 3) to probabilities (N, classes); `wide` with the most threads.

        Raises:
            MemoryError: there is none for it.
        """
        if self._is_spoilt:
            self._leave_engine()
        session = self._wide_session if wide else self._session
        try:
            probabilities: NDArray[np.float32] = session.run(["probabilities"], {"images": images})[0]
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            self._is_spoilt = self.engine == "openvino"
            if self._is_spoilt or _NO_MEMORY in str(error):
                raise MemoryError(f"{_too_many(images)} for {self.engine}: {error}") from error
            raise
        if len(probabilities) != len(images):
            self._is_spoilt = True
            raise MemoryError(f"{_too_many(images)} for {self.engine}: it answered for others")
        return probabilities

    def _leave_engine(self) -> None:
        """Have ONNX Runtime's own kernels compute from now on.

        Where OpenVINO gets no memory for another number of pictures than before, it may raise nothing, and
        give what it gave before: to that call and to all that follow, whatever their pictures.

        Raises:
            MemoryError: there is none for that either.
        """
        try:
            session = open_session(self._bundle.graph(self.variant_name), self._threads)
        except BundleError as error:
            raise MemoryError(str(error)) from error
        logger.error(
            "%s/%s: %s is left, as it ran out of memory and may give answers to other pictures now",
            self.manifest.name,
            self.manifest.version,
            self.engine,
        )
        self._session = self._wide_session = session
        self.most_threads, self.engine, self._is_spoilt = self._threads, "onnxruntime", False

    def widen(self, bundle: Bundle, threads: int) -> None:
        """Load the graph once more, for more threads; where there is no room for them, do without.

        Args:
            bundle: the one that it was made of.
            threads: that are to compute where `predict` is asked to be wide.
        """
        if threads <= self.most_threads:
            return
        try:
            # How many threads compute is a session's, not a call's, and each has its weights in memory.
            self._wide_session = open_session(bundle.graph(self.variant_name), threads, self.engine)
            self._check_golden(bundle, wide=True)
        except BundleError as error:
            logger.warning("%s; it is not computed with more threads", error)
            self._wide_session = self._session
        else:
            self.most_threads = threads

    def _check_golden(self, bundle: Bundle, *, wide: bool = False) -> None:
        """Warm up on the golden pictures, and compare with what PyTorch said of them."""
        tolerance = GOLDEN_TOLERANCE[self.variant_name]
        where = f"bundle {str(bundle.folder)!r}, {self.variant_name}"
        remedy = "install the pinned requirements, or export again"
        if self.engine != "onnxruntime":
            where, remedy = f"{where} by {self.engine}", "choose another GLIMPSE_ENGINE"
        expected = bundle.golden.probabilities.get(self.variant_name)
        if expected is None or expected.shape != (len(bundle.golden.pictures), len(self.class_names)):
            raise BundleError(f"{where}: its golden pictures and its class names do not belong together")
        try:
            pixels = [self.decode(data, imaging.DEFAULT_LIMITS) for data in bundle.golden.pictures]
            difference = float(np.abs(self.predict(np.stack(pixels), wide=wide) - expected).max())
        except (
            Exception
        ) as error:  # a graph with other inputs or sizes: ONNX Runtime, NumPy, all fail differently
            raise BundleError(f"{where}: its golden pictures can't be classified: {error}") from error
        if not difference <= tolerance:  # also true of NaN
            raise BundleError(
                f"{where}: its golden pictures come out {difference:.4f} away from the exported answers, "
                f"more than {tolerance:g}: {remedy}"
            )

    def _check_class_names(self, bundle: Bundle) -> None:
        """See that the graph's columns are the manifest's classes, in the same order."""
        metadata = self._session.get_modelmeta().custom_metadata_map
        if metadata.get("glimpse.class_names") != json.dumps(self.class_names):
            raise BundleError(
                f"bundle {str(bundle.folder)!r}, {self.variant_name}: its graph does not name the "
                "class_names of its manifest in their order; export again"
            )


def _too_many(images: NDArray[np.uint8]) -> str:
    return f"no memory to classify {len(images)} pictures at a time"


def rank(probabilities: NDArray[np.float32]) -> list[int]:
    """Indices of the classes, likeliest first."""
    indices: list[int] = np.argsort(-probabilities, kind="stable").tolist()
    return indices


def prediction_set_size(probabilities: NDArray[np.float32], variant: Variant) -> int:
    """How many of the likeliest classes it takes to have the true one with probability 1 - alpha.

    Split conformal prediction, least ambiguous sets (Sadinle et al., arXiv 1609.00451); 0 means abstain.
    """
    return int(np.count_nonzero(probabilities >= 1 - variant.prediction_set_quantile))
