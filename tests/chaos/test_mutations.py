import io

import pytest
from PIL import Image

from chaos.mutations import mutant, seeds
from service.imaging import ACCEPTED_FORMATS


def test_mutants_are_the_same_each_time_and_each_another() -> None:
    numbers = range(300)
    assert [mutant(number) for number in numbers] == [mutant(number) for number in numbers]
    assert len({mutant(number).data for number in numbers}) > 290


def test_mutants_are_of_every_kind_and_hardly_any_is_sound() -> None:
    mutants = [mutant(number) for number in range(300)]
    assert {one.kind for one in mutants} == seeds().keys()
    assert sum(one.data == seeds()[one.kind] for one in mutants) < 10


def test_every_accepted_format_is_among_them() -> None:
    assert {kind.split()[0] for kind in seeds()} == set(ACCEPTED_FORMATS)


@pytest.mark.parametrize("kind", seeds())
def test_what_they_are_made_from_is_sound(kind: str) -> None:
    with Image.open(io.BytesIO(seeds()[kind])) as image:
        image.load()
        assert image.format == kind.partition(" ")[0]
