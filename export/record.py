"""A bundle in; an error where its manifest contradicts itself, its graphs, its weights or its card out."""

from collections.abc import Mapping

import onnxruntime
from PIL import Image

from export import card
from export.bounds import read_bound, rounded
from export.confidence import Scaling
from export.figures import GATES, engine_figures, gate_figures
from export.graph import describe
from service.bundle import Bundle, Gate, VariantName
from service.errors import BundleError
from train.checkpoint import Facts


def check_gates(bundle: Bundle, name: VariantName) -> int:
    """Every gate is recorded, keeps its limit and agrees with the variant's fields; how many there are.

    Raises:
        BundleError: one does not.
    """
    manifest = bundle.manifest
    recorded = [gate for gate in manifest.gates if gate.variant == name]
    found = [gate.gate for gate in recorded]
    if sorted(found) != sorted(GATES[name]):
        raise _contradiction(
            bundle, f"records the gates {', '.join(found) or 'none'} for {name}, not {', '.join(GATES[name])}"
        )
    for gate in recorded:
        _check_limit(bundle, gate)
    by_name = {gate.gate: gate.figure for gate in recorded}
    reference = None if name == "fp32" else manifest.variants.get("fp32")
    for gate_name, figure in gate_figures(manifest.variants[name], reference).items():
        # Differences of shares differ in their last digits with the order in which they are taken.
        if abs(by_name[gate_name] - figure) > 1e-5 * abs(figure) + 1e-9:
            raise _contradiction(
                bundle,
                f"records {by_name[gate_name]:g} for gate {gate_name!r} of {name}, whose fields say "
                f"{rounded(figure):g}",
            )
    limits = {gate.gate: gate.limit for gate in recorded}
    for engine, gate_name, figure in engine_figures(manifest.variants[name], reference):
        if not read_bound(limits[gate_name]).kept_by(figure):
            raise _contradiction(
                bundle,
                f"has for {name} by {engine} the figure {figure:g} for gate {gate_name!r}, and it must be "
                f"{limits[gate_name]}",
            )
    return len(recorded)


def check_graph(bundle: Bundle, name: VariantName, session: onnxruntime.InferenceSession) -> None:
    """What a graph says of itself, and how large it is, is what the manifest says.

    Raises:
        BundleError: it is not.
    """
    manifest, variant = bundle.manifest, bundle.manifest.variants[name]
    size = bundle.graph(name).stat().st_size
    if size != variant.size_bytes:
        raise _contradiction(
            bundle, f"says that {variant.file} has {variant.size_bytes} bytes: it has {size}"
        )
    expected = describe(
        manifest.class_names,
        manifest.architecture,
        manifest.provenance.recipe,
        manifest.weights_sha256,
        Scaling(variant.temperature, variant.curvature),
    )
    found = session.get_modelmeta().custom_metadata_map
    _compare(bundle, variant.file, {**expected, "glimpse.license": manifest.license}, found)


def check_facts(bundle: Bundle, facts: Facts) -> None:
    """What the checkpoint says of its weights is what the manifest says.

    Raises:
        BundleError: it is not.
    """
    manifest = bundle.manifest
    origin = manifest.provenance
    expected = {
        "network": manifest.architecture,
        "class_names": manifest.class_names,
        "input_side": manifest.input.height,
        "data_name": origin.dataset,
        "data_sha256": origin.dataset_sha256,
        "split_seed": origin.split_seed,
        "seed": origin.seed,
        "recipe": origin.recipe,
        "git_commit": origin.git_commit,
    }
    _compare(bundle, "the checkpoint", expected, vars(facts))


def check_card(bundle: Bundle) -> None:
    """The card is there with its pictures, and says what the manifest says.

    Raises:
        BundleError: it is not, or does not.
    """
    folder = bundle.folder / card.FOLDER
    try:
        text = (folder / card.CARD).read_text(encoding="utf-8")
        for name in card.PICTURES:
            with Image.open(folder / name) as picture:
                picture.load()
    except (OSError, ValueError, SyntaxError) as error:  # Pillow has all of them for broken files
        raise _contradiction(bundle, f"has no whole card: {error}") from error
    for section in card.manifest_sections(bundle.manifest):
        for line in section.splitlines():
            if line not in text:
                raise _contradiction(bundle, f"is not what its card says, which lacks {line!r}")


def _check_limit(bundle: Bundle, gate: Gate) -> None:
    try:
        kept = read_bound(gate.limit).kept_by(gate.figure)
    except ValueError as error:
        raise _contradiction(bundle, f"has for gate {gate.gate!r} of {gate.variant}: {error}") from error
    if not kept:
        raise _contradiction(
            bundle,
            f"records that gate {gate.gate!r} of {gate.variant} passed with {gate.figure:g}, and "
            f"it must be {gate.limit}",
        )


def _compare(bundle: Bundle, where: str, expected: Mapping[str, object], found: Mapping[str, object]) -> None:
    for name, value in expected.items():
        if found.get(name) != value:
            raise _contradiction(
                bundle, f"says {name} {_cut(value)}, and {where} says {_cut(found.get(name))}"
            )


def _contradiction(bundle: Bundle, what: str) -> BundleError:
    return BundleError(f"bundle {str(bundle.folder)!r}: its manifest {what}; export again")


def _cut(value: object, most: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= most else text[:most] + "..."
