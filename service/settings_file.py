"""A file of NAME=VALUE lines in, environment variables out; and some of its lines written anew.

`docker run --env-file` and systemd's EnvironmentFile read plain lines in the same way.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dotenv import set_key
from dotenv.parser import parse_stream

from service.settings import PREFIX, SettingsError


def load_settings(file: Path) -> None:
    """Set the variables that the file names and the environment does not have.

    Raises:
        SettingsError: the file can't be read, or has a line of another form or a name that is not ours.
    """
    for name, value in _parse(file).items():
        os.environ.setdefault(name, value)


def check_writable(file: Path) -> None:
    """See that `update_settings` could write the file, before there is anything to write.

    Raises:
        SettingsError: it could not, or what is there is no file of settings.
    """
    if file.exists():
        _parse(file)
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise _unwritable(file, error) from error


def update_settings(file: Path, values: Mapping[str, str], head: str) -> None:
    """Give each variable its value, all or none; other lines of the file stay.

    Args:
        file: is made if it is not there.
        values: by variable; of one line, without spaces.
        head: a comment that a new file begins with.

    Raises:
        SettingsError: the file can't be written.
    """
    part: Path | None = None
    try:
        number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        os.close(number)
        part = Path(name)
        if file.exists():
            shutil.copy(file, part)  # with who may read it
        else:
            part.write_text(f"# {head}\n", encoding="utf-8")
            part.chmod(0o644)
        for variable, value in values.items():
            set_key(part, variable, value, quote_mode="never")
        part.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from error
    finally:
        if part:
            with suppress(FileNotFoundError):
                part.unlink()


def _parse(file: Path) -> dict[str, str]:
    try:
        with file.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except OSError as error:
        raise SettingsError(f"settings {str(file)!r} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"settings {str(file)!r} can't be read: it is no UTF-8 text") from error
    values = {}
    for binding in bindings:
        where = f"settings {str(file)!r}, line {binding.original.line}"
        if binding.error or (binding.key and binding.value is None):
            # The line may hold a key that is no business of whoever reads the log.
            raise SettingsError(f"{where}: not of the form NAME=VALUE")
        if binding.key and not binding.key.startswith(PREFIX):
            raise SettingsError(
                f"{where}: {binding.key} is no setting, for its name would begin with {PREFIX}"
            )
        if binding.key and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _unwritable(file: Path, error: OSError) -> SettingsError:
    return SettingsError(f"settings {str(file)!r} can't be written: {error.strerror}")
