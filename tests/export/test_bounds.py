import pytest

from export.bounds import Bound, read_bound

BOUNDS = {
    "at most 0.015": Bound("most", 0.015),
    "at least 0.985": Bound("least", 0.985),
    "at most 0": Bound("most", 0.0),
    "at most 4.5e-05": Bound("most", 4.5e-5),
    "at most 0.015 + 0.3163 for 24 pictures": Bound("most", 0.015, 0.3163, 24),
    "at least 0.985 - 0.0267 for 24 pictures": Bound("least", 0.985, 0.0267, 24),
    "at most 0.0102 (0.0001 + 0.001 * |expected|)": Bound("most", 0.0102, note="0.0001 + 0.001 * |expected|"),
}


@pytest.mark.parametrize("words", BOUNDS)
def test_bound_is_read_as_it_is_written(words: str) -> None:
    assert str(BOUNDS[words]) == words
    assert read_bound(words) == BOUNDS[words]


@pytest.mark.parametrize("words", ["", "at most", "at most much", "below 1", "at most 1 + 1"])
def test_words_that_are_no_bound_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"is no limit|could not convert"):
        read_bound(words)


@pytest.mark.parametrize(
    ("words", "kept", "missed"),
    [
        ("at most 0.01", 0.96 - 0.95, 0.010001),
        ("at least 0.985", 0.985, 0.984999),
        ("at most 0.015 + 0.3 for 24 pictures", 0.315, 0.315001),
        ("at least 0.985 - 0.1 for 24 pictures", 0.885, 0.884999),
        ("at most 0", 0.0, float("nan")),
    ],
)
def test_bound_tells_what_keeps_it(words: str, kept: float, missed: float) -> None:
    bound = read_bound(words)
    assert bound.kept_by(kept)
    assert not bound.kept_by(missed)
