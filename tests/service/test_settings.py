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
        ("GLIMPSE_DECODE_BYTES", "1", "greater than or equal to 30000000"),
        ("GLIMPSE_DECODE_SECONDS", "inf", "finite number"),
        ("GLIMPSE_DRAIN_SECONDS", "inf", "finite number"),
        ("GLIMPSE_MAX_WAIT_MS", "inf", "less than or equal to 60000"),
        ("GLIMPSE_VARIANT", "int4", "'auto', 'fp32' or 'int8'"),
        ("GLIMPSE_WORKERS", "0", "greater than or equal to 1"),
        ("GLIMPSE_CORS_ORIGINS", "https://shop.example/", "give SCHEME://HOST or SCHEME://HOST:PORT"),
    ],
)
def test_wrong_value_names_variable_value_and_what_is_allowed(
    variable: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{variable}={value}: ")
    assert allowed in line


@pytest.mark.parametrize("value", [",", " , ", "key,schlüssel", "two words"])
def test_keys_that_can_not_be_sent_stop_the_start_and_stay_secret(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIMPSE_API_KEYS", value)
    with pytest.raises(SettingsError, match=r"^GLIMPSE_API_KEYS=\(hidden\): (holds no key|a key has to be)"):
        read_settings()


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
