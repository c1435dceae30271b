import pytest

from service.settings import SettingsError, read_settings


def test_variables_set_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_PORT", "9001")
    monkeypatch.setenv("GLIMPSE_MAX_SIDE", "77")
    settings = read_settings()
    assert (settings.port, settings.limits.max_side) == (9001, 77)


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("GLIMPSE_PORT", "70000", "less than or equal to 65535"),
        ("GLIMPSE_THREADS", "0", "greater than or equal to 1"),
        ("GLIMPSE_MAX_BATCH", "many", "valid integer"),
        ("GLIMPSE_MAX_PIXELS", "999999999", "less than or equal to 178000000"),
    ],
)
def test_wrong_value_names_variable_value_and_what_is_allowed(
    variable: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert str(caught.value).startswith(f"{variable}={value}: ")
    assert allowed in str(caught.value)


def test_misspelt_variable_is_refused_naming_the_right_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_THREAD", "4")
    with pytest.raises(SettingsError, match=r"GLIMPSE_THREAD: no such setting; .*GLIMPSE_THREADS"):
        read_settings()


def test_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_HOST", "")
    assert read_settings().host == "127.0.0.1"


def test_variable_of_training_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_DATA", "somewhere")
    assert read_settings().port == 8000
