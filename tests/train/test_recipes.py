import pytest

from train.models import MODELS
from train.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_trains_a_network_that_exists_and_ends_at_its_size(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.network in MODELS
    assert recipe.stages[-1].side == recipe.input_side


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("pictures", [2, 17, 81, 1_000])
def test_few_pictures_get_smaller_batches_and_enough_steps(name: str, pictures: int) -> None:
    fitted = RECIPES[name].fitted_to(pictures)
    assert fitted.batch_size <= pictures
    assert 600 <= fitted.epochs * (pictures // fitted.batch_size) <= 1_000
    assert fitted.learning_rate / fitted.batch_size == pytest.approx(
        RECIPES[name].learning_rate / RECIPES[name].batch_size
    )


@pytest.mark.parametrize("name", RECIPES)
def test_many_pictures_leave_the_recipe_as_it_is(name: str) -> None:
    assert RECIPES[name].fitted_to(45_000) == RECIPES[name]
