"""A bundle's manifest in, a table for a terminal out."""

from pathlib import Path

from service.bundle import Manifest, Variant, read_bundle

_CLASSES_SHOWN = 20


def show_bundle(folder: Path) -> str:
    """What a bundle is and how good it is.

    Raises:
        BundleError: the folder holds no sound bundle.
    """
    manifest = read_bundle(folder).manifest
    facts = _facts(manifest)
    columns = [["", *manifest.variants], *_figures(list(manifest.variants.values())), *_gates(manifest)]
    width = max(len(row[0]) for row in (*facts, *columns))
    column = max(len(cell) for row in columns for cell in row[1:])
    lines = [
        f"{row[0]:<{width}}  " + "  ".join(f"{cell:<{column}}" for cell in row[1:])
        for row in (*facts, *columns)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _facts(manifest: Manifest) -> list[list[str]]:
    names = manifest.class_names
    shown = ", ".join(names[:_CLASSES_SHOWN])
    more = f", and {len(names) - _CLASSES_SHOWN} more" if len(names) > _CLASSES_SHOWN else ""
    origin = manifest.provenance
    return [
        ["bundle", f"{manifest.name}/{manifest.version}"],
        ["network", f"{manifest.architecture}, {manifest.parameters:,} parameters"],
        ["input", f"{manifest.input.height} x {manifest.input.width} {manifest.input.colour}"],
        ["classes", f"{len(names)}: {shown}{more}"],
        ["trained on", f"{origin.dataset}, recipe {origin.recipe.get('name', '?')}, seed {origin.seed}"],
        ["commit", origin.git_commit],
        ["license", manifest.license],
    ]


def _figures(variants: list[Variant]) -> list[list[str]]:
    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.2%}"

    engines = dict.fromkeys(engine for one in variants for engine in one.engines)
    return [
        ["file", *(one.file for one in variants)],
        ["size", *(f"{one.size_bytes / 1e6:.1f} MB" for one in variants)],
        ["test accuracy", *(share(one.accuracy) for one in variants)],
        *(
            [f"test accuracy by {engine}", *(share(one.engines.get(engine)) for one in variants)]
            for engine in engines
        ),
        ["test pictures", *(str(one.test_count) for one in variants)],
        ["agrees with fp32", *(share(one.agreement) for one in variants)],
        ["ECE", *(f"{one.ece:.4f}" for one in variants)],
        ["temperature", *(f"{one.temperature:.4f}" for one in variants)],
        ["curvature", *(f"{one.curvature:.4f}" for one in variants)],
        ["coverage of sets", *(share(one.coverage) for one in variants)],
        ["mean set size", *(f"{one.mean_set_size:.2f}" for one in variants)],
        ["low confidence below", *(f"{one.low_confidence_threshold:.3f}" for one in variants)],
        ["unfamiliar caught", *(share(one.unfamiliar_caught) for one in variants)],
    ]


def _gates(manifest: Manifest) -> list[list[str]]:
    passed = {(gate.variant, gate.gate): f"{gate.figure:g}, {gate.limit}" for gate in manifest.gates}
    names = dict.fromkeys(gate.gate for gate in manifest.gates)
    return [[f"gate: {name}", *(passed.get((one, name), "-") for one in manifest.variants)] for name in names]
