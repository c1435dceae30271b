"""Environment variables in, validated settings out."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.bundle import VariantName
from service.cpus import usable_cpus
from service.imaging import DEFAULT_LIMITS, Limits

PREFIX = "GLIMPSE_"


# Pillow's own bound against decompression bombs, above which it refuses whatever we allow.
_PILLOW_MAX_PIXELS = 178_000_000
_OTHERS = frozenset({"GLIMPSE_DATA"})  # variables of this prefix that training and tests read


class Settings(BaseSettings):
    """How one service runs; each field is read from the variable GLIMPSE_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    artifacts: Path = Field(Path("artifacts"), description="folder of bundles, <model>/<version>/")
    default_model: str | None = Field(None, description="model that answers when a call names none")
    variant: VariantName | Literal["auto"] = Field(
        "auto", description="fp32, int8, or auto: int8 where this CPU computes it right"
    )
    threads: int = Field(default_factory=usable_cpus, ge=1, le=256, description="pictures worked on at once")
    max_body_bytes: int = Field(10_000_000, ge=1, description="largest request body")
    max_batch: int = Field(64, ge=1, description="most pictures in one /classify/batch")
    max_pixels: int = Field(
        DEFAULT_LIMITS.max_pixels, ge=1, le=_PILLOW_MAX_PIXELS, description="most pixels in one picture"
    )
    max_side: int = Field(DEFAULT_LIMITS.max_side, ge=1, description="longest side of a picture in pixels")

    @property
    def limits(self) -> Limits:
        """What the decoder refuses."""
        return Limits(self.max_pixels, self.max_side)


class SettingsError(Exception):
    """A variable with a wrong value or name; the message has a line for each."""


def read_settings() -> Settings:
    """Settings from the environment.

    Raises:
        SettingsError: a value is not allowed, or a variable of our prefix is none of ours.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = {name for name in os.environ if name.startswith(PREFIX)} - known - _OTHERS
    if unknown:
        names = ", ".join(sorted(unknown))
        raise SettingsError(f"{names}: no such setting; there are {', '.join(sorted(known))}")
    try:
        return Settings()
    except ValidationError as error:
        lines = (_describe(tuple(one["loc"]), one["input"], one["msg"]) for one in error.errors())
        raise SettingsError("\n".join(lines)) from error


def _describe(location: tuple[int | str, ...], value: object, allowed: str) -> str:
    return f"{PREFIX}{'_'.join(map(str, location)).upper()}={value}: {allowed}"
