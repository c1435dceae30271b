"""A manifest and the findings behind it in, the model card's files out: Markdown and its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

from export import confidence
from export.fusion import Fusion
from export.latency import Latency
from export.machine import describe_machine
from export.measure import Measured
from service.bundle import Manifest, VariantName
from train import figures
from train.data import Dataset
from train.evaluation import class_figures, confusion_matrix, worst_mistakes

FOLDER = "card"
CARD = "README.md"
CONFUSION, MISTAKES, RELIABILITY = PICTURES = ("confusion.png", "mistakes.png", "reliability.png")
_MOST_CLASSES = 100


@dataclass(frozen=True)
class Findings:
    """What the export saw, by variant."""

    measured: Mapping[VariantName, Measured]
    fusion: Mapping[VariantName, Fusion]
    latency: Mapping[VariantName, Latency]
    dataset: Dataset


def write_card(manifest: Manifest, findings: Findings) -> dict[str, bytes]:
    """The files of the card's folder, by name."""
    # The variant that the service prefers is the one to draw.
    name: VariantName = "int8" if "int8" in findings.measured else "fp32"
    drawn = findings.measured[name]
    confusion = confusion_matrix(drawn.test.logits, drawn.test.labels)
    held_out = drawn.calibration.scaling(drawn.held_out.logits)
    mistakes = worst_mistakes(held_out, findings.dataset.held_out, manifest.class_names)
    before, after = (
        confidence.reliability(drawn.test.probabilities(scaling), drawn.test.labels)
        for scaling in (confidence.Scaling(1.0), drawn.calibration.scaling)
    )
    sections = [
        _title(manifest),
        _accuracy(manifest),
        _speed(findings),
        _confidence(manifest, findings, name),
        _classes(manifest, drawn, name),
        _arithmetic(findings),
        _gates(manifest),
        _use(manifest),
        _provenance(manifest),
    ]
    return {
        CARD: "\n\n".join(sections).encode() + b"\n",
        CONFUSION: figures.draw_confusion(confusion, manifest.class_names),
        MISTAKES: figures.draw_mistakes(mistakes),
        RELIABILITY: figures.draw_reliability({"before calibration": before, "after": after}),
    }


def manifest_sections(manifest: Manifest) -> list[str]:
    """Those parts of the card that the manifest alone determines, each some whole lines of it."""
    return [
        _title(manifest),
        _accuracy(manifest),
        _confidence_table(manifest),
        _gates(manifest),
        _use(manifest),
        _provenance(manifest),
    ]


def _title(manifest: Manifest) -> str:
    size = f"{manifest.input.height} x {manifest.input.width}"
    return (
        f"# {manifest.name}, version {manifest.version}\n\n"
        f"Says which of {len(manifest.class_names)} classes a picture shows. `{manifest.architecture}`, "
        f"{manifest.parameters:,} parameters, input {size} pixels {manifest.input.colour}, trained on "
        f"{_code(manifest.provenance.dataset)}. Every figure here was written by the export."
    )


def _accuracy(manifest: Manifest) -> str:
    rows = []
    for name, variant in manifest.variants.items():
        agreement = "" if variant.agreement is None else f"{variant.agreement:.2%}"
        rows.append(
            [
                f"{name}, {_code(variant.file)}",
                _with_interval(variant.accuracy, variant.test_count),
                agreement,
                f"{variant.size_bytes / 1e6:.1f} MB",
            ]
        )
        rows += [
            [f"{name} by {engine}", _with_interval(accuracy, variant.test_count), "", ""]
            for engine, accuracy in variant.engines.items()
        ]
    count = next(iter(manifest.variants.values())).test_count
    heading = ["variant", f"accuracy on {count} test pictures (95% interval)", "agrees with fp32", "size"]
    return "## Accuracy\n\n" + _table(heading, rows)


def _with_interval(accuracy: float, count: int) -> str:
    low, high = confidence.binomial_interval(round(accuracy * count), count)
    return f"{accuracy:.2%} ({low:.2%} to {high:.2%})"


def _speed(findings: Findings) -> str:
    rows = [
        [name, f"{one.p50_ms:.2f} ms", f"{one.p95_ms:.2f} ms", f"{one.images_per_second:.0f}"]
        for name, one in findings.latency.items()
    ]
    heading = ["variant", "p50, one picture", "p95, one picture", "pictures/s, batches of 32"]
    return (
        "## Speed\n\nThe graph alone in one thread, without decoding or HTTP, variants in turn, on "
        f"{describe_machine()}.\n\n" + _table(heading, rows)
    )


def _confidence(manifest: Manifest, findings: Findings, drawn: VariantName) -> str:
    held_out = manifest.variants[drawn].held_out_count
    reached = " and ".join(f"{one.confident_share:.2%} ({name})" for name, one in findings.measured.items())
    return (
        f"## Confidence\n\nChosen on {held_out} held-out pictures, measured on test. ECE: expected "
        f"calibration error, 15 bins. {reached} of the held-out pictures reach the low-confidence "
        f"threshold.\n\n{_confidence_table(manifest)}\n\n"
        f"![How often {drawn} is right, over how sure it is]({RELIABILITY})"
    )


def _confidence_table(manifest: Manifest) -> str:
    rows = [
        [
            name,
            f"{one.temperature:.4f}" + (f", curvature {one.curvature:.4f}" if one.curvature else ""),
            f"{one.ece:.4f}",
            f"{1 - one.prediction_set_quantile:.4f}",
            f"{one.coverage:.2%} ({1 - one.prediction_set_alpha:.0%} claimed)",
            f"{one.mean_set_size:.2f}",
            f"{one.low_confidence_threshold:.4f}",
            "not measured" if one.unfamiliar_caught is None else f"{one.unfamiliar_caught:.1%}",
        ]
        for name, one in manifest.variants.items()
    ]
    caught = f"caught of {_code(manifest.unfamiliar)}" if manifest.unfamiliar else "unfamiliar caught"
    heading = [
        "variant",
        "temperature",
        "ECE",
        "in a set from",
        "coverage of sets",
        "mean set",
        "low confidence below",
        caught,
    ]
    return _table(heading, rows)


def _classes(manifest: Manifest, drawn: Measured, name: VariantName) -> str:
    confusion = confusion_matrix(drawn.test.logits, drawn.test.labels)
    of_classes = sorted(class_figures(confusion, manifest.class_names), key=lambda one: one.recall)
    rows = [
        [_code(one.name), f"{one.precision:.2%}", f"{one.recall:.2%}", f"{one.f1:.2%}", str(one.pictures)]
        for one in of_classes[:_MOST_CLASSES]
    ]
    left_out = len(of_classes) - len(rows)
    more = f"\n\n{left_out} classes with better recall left out." if left_out else ""
    heading = ["class", "precision", "recall", "F1", "test pictures"]
    return (
        f"## Classes\n\n{name} on test, the class that is found least first.\n\n"
        f"{_table(heading, rows)}{more}\n\n"
        f"![What each class is taken for]({CONFUSION})\n\n"
        "The held-out pictures that it is most sure of and wrong about:\n\n"
        f"![Worst mistakes]({MISTAKES})"
    )


def _arithmetic(findings: Findings) -> str:
    rows = []
    for name, fusion in findings.fusion.items():
        rows += [[name, operator, str(count), "8-bit integers"] for operator, count in fusion.integer.items()]
        if fusion.integer:
            rows += [[name, operator, str(count), why] for (operator, why), count in fusion.other.items()]
        else:
            rows += [[name, operator, str(count), "float"] for operator, count in fusion.operators().items()]
    heading = ["variant", "operator", "nodes", "computes in"]
    return "## Arithmetic\n\nAfter ONNX Runtime's optimisation.\n\n" + _table(heading, rows)


def _gates(manifest: Manifest) -> str:
    rows = [[gate.variant, gate.gate, f"{gate.figure:g}", _code(gate.limit)] for gate in manifest.gates]
    return "## Gates\n\n" + _table(["variant", "gate", "figure", "limit"], rows)


def _use(manifest: Manifest) -> str:
    return (
        "## Use and limits\n\n"
        f"Meant for pictures like those of {_code(manifest.provenance.dataset)}, one thing in each. "
        "It always answers with one of its classes: what belongs to none is answered too, often with low "
        "confidence, not always. Pictures are squashed to the input's size, whatever their shape. Accuracy "
        "and coverage hold for pictures drawn like the test's; measure again on your own before you rely on "
        "them."
    )


def _provenance(manifest: Manifest) -> str:
    origin = manifest.provenance
    other = origin.measured_sha256
    rows = [
        ["data", f"{_code(origin.dataset)}, SHA-256 `{origin.dataset_sha256}`"],
        *([["measured on", f"other pictures, SHA-256 `{other}`"]] if other else []),
        ["recipe", _code(str(origin.recipe.get("name", "")))],
        ["seeds", f"training {origin.seed}, splits {origin.split_seed}"],
        ["commit that trained", f"`{origin.git_commit}`"],
        ["weights", f"SHA-256 `{manifest.weights_sha256}`"],
        ["versions", ", ".join(f"{name} {version}" for name, version in origin.versions.items())],
        ["license", manifest.license],
    ]
    return "## Provenance\n\n" + _table(["", ""], rows)


def _table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Any text as Markdown code that neither ends a cell nor begins a tag."""
    plain = text.encode("utf-8", "replace").decode().replace("|", "\\|").replace("`", "'").replace("\n", " ")
    return f"`{plain}`"
