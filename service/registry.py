"""A folder of bundles in, classifiers by model and version out."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from service.bundle import VariantName, read_bundle
from service.classifier import Classifier, open_classifier
from service.errors import BundleError, UnknownModel

logger = logging.getLogger(__name__)


class Registry:
    """The classifiers that are loaded, warm and checked."""

    def __init__(self, classifiers: dict[str, dict[str, Classifier]], default_model: str) -> None:
        """Take classifiers by model name and version, versions in ascending order."""
        self._classifiers = classifiers
        self.default_model = default_model

    def __iter__(self) -> Iterator[Classifier]:
        for versions in self._classifiers.values():
            yield from versions.values()

    def get(self, model: str | None = None, version: str | None = None) -> Classifier:
        """The classifier asked for: by default the default model, in its highest version.

        Raises:
            UnknownModel: nothing of that name and version is loaded.
        """
        versions = self._classifiers.get(model or self.default_model)
        if versions is None:
            raise UnknownModel(f"model {model!r} is not loaded: choose one of {', '.join(self._classifiers)}")
        if not version:
            return next(reversed(versions.values()))
        if version not in versions:
            loaded = ", ".join(versions)
            raise UnknownModel(
                f"model {model or self.default_model!r} has no version {version!r}: choose one of {loaded}"
            )
        return versions[version]


def load_registry(
    artifacts: Path, default_model: str | None, variant: VariantName | Literal["auto"] = "auto"
) -> Registry:
    """Load artifacts/<model>/<version>/.

    Without `default_model`, the model whose manifest states the highest accuracy is the default, as long as
    all have the same classes.

    Raises:
        BundleError: a bundle is bad, there is none, or the default is not among them.
    """
    folders = sorted(filter(Path.is_dir, artifacts.glob("[!.]*/[!.]*")), key=_model_and_version)
    if not folders:
        raise BundleError(
            f"{str(artifacts)!r} holds no <model>/<version>/: export one, or set GLIMPSE_ARTIFACTS"
        )
    classifiers: dict[str, dict[str, Classifier]] = {}
    for folder in folders:
        classifier = open_classifier(read_bundle(folder), variant)
        classifiers.setdefault(folder.parent.name, {})[folder.name] = classifier
        where = (folder.parent.name, folder.name, classifier.variant_name)
        logger.info("loaded %s/%s in %s: its golden pictures agree", *where)
    newest = {name: next(reversed(versions.values())) for name, versions in classifiers.items()}
    default = _choose_default(newest, default_model)
    logger.info("%s answers calls that name no model", default)
    return Registry(classifiers, default)


def _choose_default(newest: dict[str, Classifier], wanted: str | None) -> str:
    names = ", ".join(newest)
    if wanted is not None and wanted not in newest:
        raise BundleError(f"GLIMPSE_DEFAULT_MODEL={wanted}: not loaded; choose one of {names}")
    if wanted is not None:
        return wanted
    if len({classifier.class_names for classifier in newest.values()}) > 1:
        # Accuracies on different data sets say nothing about which is better.
        raise BundleError(f"the models {names} have different classes: name one in GLIMPSE_DEFAULT_MODEL")
    return max(newest, key=lambda name: newest[name].variant.accuracy)


def _model_and_version(folder: Path) -> tuple[str, bool, int, str]:
    """Versions that are numbers sort by value, after those that are names."""
    version = folder.name
    is_number = version.isdecimal()
    return folder.parent.name, is_number, int(version) if is_number else 0, version
