"""Every experiment, in the order in which they are made."""

from chaos import (
    bundles,
    clock,
    connections,
    disk,
    hang,
    kill,
    memory,
    mutants,
    overload,
    rolling,
    slow,
    soak,
    starved,
)

EXPERIMENTS = {
    one.name: one
    for one in (
        kill.EXPERIMENT,
        hang.EXPERIMENT,
        rolling.EXPERIMENT,
        slow.EXPERIMENT,
        overload.EXPERIMENT,
        memory.EXPERIMENT,
        disk.EXPERIMENT,
        mutants.EXPERIMENT,
        bundles.EXPERIMENT,
        clock.EXPERIMENT,
        connections.EXPERIMENT,
        starved.EXPERIMENT,
        soak.EXPERIMENT,
    )
}


def describe_experiments() -> str:
    """What each is, a line each, in its short and its long form."""
    return "\n".join(
        f"  {one.name:<12} {one.describe(one.short)} (--long: {one.long:,})" for one in EXPERIMENTS.values()
    )
