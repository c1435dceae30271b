import pytest

from train.networks import OURS
from train.recipes import OTHER_RECIPES, RECIPES, RecipeError, find_recipe

NAMED = [
    (network, name)
    for network, recipes in {**RECIPES, "torchvision:resnet18": OTHER_RECIPES}.items()
    for name in recipes
]


def test_every_network_has_a_full_and_a_quick_recipe() -> None:
    assert RECIPES.keys() == OURS.keys()
    assert all({"full", "quick"} <= recipes.keys() for recipes in RECIPES.values())


@pytest.mark.parametrize(("network", "name"), NAMED)
def test_recipe_ends_at_the_size_that_is_served(network: str, name: str) -> None:
    assert find_recipe(network, name).stages[-1].scale == 1


@pytest.mark.parametrize(("network", "name"), NAMED)
@pytest.mark.parametrize("pictures", [2, 17, 81, 1_000])
def test_few_pictures_get_smaller_batches_and_enough_steps(network: str, name: str, pictures: int) -> None:
    recipe = find_recipe(network, name)
    fitted = recipe.fitted_to(pictures)
    assert fitted.batch_size <= pictures
    assert fitted.epochs * (pictures // fitted.batch_size) >= 600
    rates = [(one.learning_rate, one.turning_rate) for one in (recipe, fitted)]
    share = fitted.batch_size / recipe.batch_size
    assert rates[1] == pytest.approx([rate * share for rate in rates[0]])


@pytest.mark.parametrize(("network", "name"), NAMED)
def test_many_pictures_leave_the_recipe_as_it_is(network: str, name: str) -> None:
    recipe = find_recipe(network, name)
    assert recipe.fitted_to(45_000) == recipe


@pytest.mark.parametrize("pictures", [81, 45_000])
def test_resnet_sees_whole_pictures_of_full_size_at_last(pictures: int) -> None:
    recipe = find_recipe("resnet", "full").fitted_to(pictures)
    assert recipe.cutmix > 0
    assert recipe.mixed_epochs == pytest.approx(0.92 * recipe.epochs, abs=0.5)
    assert set(recipe.sides[recipe.mixed_epochs :]) == {recipe.input_side}


def test_unknown_recipe_names_the_valid_ones() -> None:
    with pytest.raises(RecipeError, match="'slow' does not exist for cnn: choose one of full, quick"):
        find_recipe("cnn", "slow")
