"""A folder of bundles in, classifiers by model and version out."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.bundle import EngineName, VariantName, read_bundle
from service.choice import open_classifier
from service.classifier import Classifier
from service.errors import BundleError, UnknownModel
from service.settings import SettingsError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A bundle that is there and can't be served."""

    name: str
    version: str
    reason: str


class Registry:
    """The classifiers that are loaded, warm and checked."""

    def __init__(
        self,
        classifiers: dict[str, dict[str, Classifier]],
        default_model: str,
        failures: Sequence[Failure] = (),
    ) -> None:
        """Take classifiers by model name and version, versions in ascending order, and what did not load."""
        self._classifiers = classifiers
        self.default_model = default_model
        self.failures = failures

    def __iter__(self) -> Iterator[Classifier]:
        for versions in self._classifiers.values():
            yield from versions.values()

    @property
    def default(self) -> Classifier | None:
        """What answers when a call names no model; None if that one could not be loaded."""
        versions = self._classifiers.get(self.default_model)
        return next(reversed(versions.values())) if versions else None

    def get(self, model: str | None = None, version: str | None = None) -> Classifier:
        """The classifier asked for: by default the default model, in its highest version.

        Raises:
            UnknownModel: nothing of that name and version is loaded.
        """
        name = self.default_model if model is None else model
        versions = self._classifiers.get(name)
        if versions is None:
            loaded = ", ".join(self._classifiers)
            raise UnknownModel(f"model {name!r} is not loaded: choose one of {loaded}")
        if version is None:
            return next(reversed(versions.values()))
        if version not in versions:
            loaded = ", ".join(versions)
            raise UnknownModel(f"model {name!r} has no version {version!r}: choose one of {loaded}")
        return versions[version]


def load_registry(
    artifacts: Path,
    default_model: str | None,
    variant: VariantName | Literal["auto"] = "auto",
    threads: int = 1,
    most_threads: int = 1,
    engine: EngineName | Literal["auto"] = "auto",
) -> Registry:
    """Load artifacts/<model>/<version>/; a bundle that can't be served is logged and left out.

    Without `default_model`, the model whose manifest states the highest accuracy is the default, as long as
    all have the same classes.

    Raises:
        BundleError: there is no bundle, or none can be served.
        SettingsError: `default_model` is not among them, or has to be named.
    """
    folders = sorted(filter(Path.is_dir, artifacts.glob("[!.]*/[!.]*")), key=_model_and_version)
    if not folders:
        raise BundleError(
            f"{str(artifacts)!r} holds no <model>/<version>/: export one, or set GLIMPSE_ARTIFACTS"
        )
    classifiers: dict[str, dict[str, Classifier]] = {}
    failures: list[Failure] = []
    for folder in folders:
        try:
            classifier = open_classifier(read_bundle(folder), variant, threads, most_threads, engine)
        except BundleError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all
            failures.append(Failure(folder.parent.name, folder.name, error.message))
            continue
        classifiers.setdefault(folder.parent.name, {})[folder.name] = classifier
        where = (folder.parent.name, folder.name, classifier.variant_name, classifier.engine)
        logger.info("loaded %s/%s in %s by %s: its golden pictures agree", *where)
    if not classifiers:
        more = f" (and so with {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise BundleError(f"no model can be served: {failures[0].reason}{more}")
    newest = {name: next(reversed(versions.values())) for name, versions in classifiers.items()}
    default = _choose_default(newest, default_model, {failure.name for failure in failures})
    logger.info("%s answers calls that name no model", default)
    return Registry(classifiers, default, failures)


def _choose_default(newest: dict[str, Classifier], wanted: str | None, failed: set[str]) -> str:
    names = ", ".join(newest)
    # One that failed to load is still the default: no other takes its place unasked.
    if wanted is not None and wanted not in newest.keys() | failed:
        raise SettingsError(f"GLIMPSE_DEFAULT_MODEL={wanted}: not loaded; choose one of {names}")
    if wanted is not None:
        return wanted
    if len({classifier.class_names for classifier in newest.values()}) > 1:
        # Accuracies on different data sets say nothing about which is better.
        raise SettingsError(f"the models {names} have different classes: name one in GLIMPSE_DEFAULT_MODEL")
    return max(newest, key=lambda name: newest[name].variant.accuracy)


def _model_and_version(folder: Path) -> tuple[str, bool, int, str]:
    """Versions that are numbers sort by value, after those that are names."""
    version = folder.name
    is_number = version.isdecimal()
    return folder.parent.name, is_number, int(version) if is_number else 0, version
