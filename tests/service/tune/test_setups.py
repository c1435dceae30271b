import pytest

from service.tune.setups import Setup, candidates


@pytest.mark.parametrize(
    ("cpus", "workers_and_threads"),
    [
        (1, [(1, 1)]),
        (2, [(2, 1), (1, 2)]),
        (6, [(6, 1), (3, 2), (1, 4), (1, 6)]),
        (16, [(16, 1), (8, 2), (4, 4), (2, 8), (1, 16)]),
    ],
)
def test_cpus_are_shared_out_and_none_is_used_twice(
    cpus: int, workers_and_threads: list[tuple[int, int]]
) -> None:
    assert candidates(cpus) == [Setup(workers, threads) for workers, threads in workers_and_threads]
