"""Environment variables in, validated settings out."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.bundle import EngineName, VariantName
from service.cpus import usable_cpus
from service.imaging import DEFAULT_LIMITS, Limits

PREFIX = "GLIMPSE_"


# Pillow's own bound against decompression bombs, above which it refuses whatever we allow.
_PILLOW_MAX_PIXELS = 178_000_000
_MOST_SECONDS = 3600
_LEAST_HANG_SECONDS = 3  # a worker says once a second that it answers
_LEAST_DECODE_BYTES = 30_000_000  # holds a body of the default limit, and some pixels
Seconds = Annotated[float, Field(le=_MOST_SECONDS, allow_inf_nan=False)]
_ORIGIN = re.compile(r"\*|https?://[^/\s?#@]+")
_SECRET = frozenset({"GLIMPSE_API_KEYS"})
# Variables of this prefix that training and tests read, and the client.
_OTHERS = frozenset({"GLIMPSE_DATA", "GLIMPSE_KEY"})


_MOST_THREADS = 4  # more have too little to do in networks of milliseconds
_MOST_WORKERS = 8  # each holds every model; one keeps up with thousands of requests a second


def _threads_a_worker(given: dict[str, Any]) -> int:
    workers = given.get("workers", 1)  # missing where its value was wrong
    return max(1, usable_cpus() // int(workers))


class Settings(BaseSettings):
    """How one service runs; each field is read from the variable GLIMPSE_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    artifacts: Path = Field(Path("artifacts"), description="folder of bundles, <model>/<version>/")
    default_model: str | None = Field(
        None, description="model that answers when a call names none; unset: the most accurate"
    )
    variant: Literal["auto", VariantName] = Field(
        "auto", description="fp32, int8, or auto: int8 where this CPU computes it right"
    )
    engine: Literal["auto", EngineName] = Field(
        "auto",
        description="what computes: ONNX Runtime, the same by AMX, OpenVINO's plugin, or auto: the fastest "
        "that computes right",
    )
    workers: int = Field(
        default_factory=lambda: min(usable_cpus(), _MOST_WORKERS),
        ge=1,
        le=256,
        description="processes that answer; by default one a usable CPU, up to 8",
    )
    threads: int = Field(
        default_factory=_threads_a_worker,
        ge=1,
        le=256,
        description="threads that compute one picture; by default the usable CPUs, shared by the workers",
    )
    most_threads: int = Field(
        default_factory=lambda: min(usable_cpus(), _MOST_THREADS),
        ge=1,
        le=256,
        description="the same, if more, while so many CPUs are idle; 1: never; by default all, up to 4",
    )
    max_wait_ms: float = Field(
        30,
        gt=0,
        le=60_000,
        description="longest wait of a picture for its turn; what would wait longer gets 503 at once",
    )
    max_body_bytes: int = Field(10_000_000, ge=1, description="largest request body")
    max_batch: int = Field(64, ge=1, description="most pictures in one /classify/batch")
    max_pixels: int = Field(
        DEFAULT_LIMITS.max_pixels, ge=1, le=_PILLOW_MAX_PIXELS, description="most pixels in one picture"
    )
    max_side: int = Field(DEFAULT_LIMITS.max_side, ge=1, description="longest side of a picture in pixels")

    max_buffered_bytes: int = Field(
        200_000_000, ge=1, description="most bytes of bodies that one worker holds at a time"
    )
    decode_seconds: Seconds = Field(1.7, gt=0, description="longest decoding of one picture")
    decode_bytes: int = Field(
        300_000_000,
        ge=_LEAST_DECODE_BYTES,
        description="most memory for decoding one picture; a worker may take 64 MB more for a camera's JPEG",
    )
    batch_seconds: Seconds = Field(10, gt=0, description="longest work on one batch before 503")
    stall_seconds: Seconds = Field(
        5,
        gt=0,
        description="longest standstill of a body: one that stops arriving gets 408, one that nobody reads "
        "ends its connection",
    )
    read_seconds: Seconds = Field(60, gt=0, description="longest time for a whole body before 408")
    header_seconds: Seconds = Field(10, gt=0, description="longest wait for a request's whole headers")
    keep_alive_seconds: int = Field(
        75,
        ge=1,
        le=_MOST_SECONDS,
        description="longest pause between a connection's requests; make it longer than a proxy's",
    )
    hang_seconds: Seconds = Field(
        30, ge=_LEAST_HANG_SECONDS, description="longest silence of a worker before it is killed and replaced"
    )
    drain_seconds: Seconds = Field(
        1, ge=0, description="time to go on answering after SIGTERM while /health/ready says 503"
    )
    grace_seconds: int = Field(
        30, ge=0, le=_MOST_SECONDS, description="longest time after that for requests in flight to finish"
    )
    api_keys: str = Field("", description="keys of which a call needs one, with commas between; empty: none")
    cors_origins: str = Field("", description="web origins that may call, with commas between; * for all")
    page: bool = Field(default=True, description="whether browsers get the page at /")
    examples: bool = Field(
        default=True,
        description="whether the page may show the bundle's golden pictures, which were held out of training",
    )
    docs: bool = Field(default=True, description="whether /docs and /openapi.json are there")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="json, text, or auto: text at a terminal, else json"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info (a line a request), warning or error"
    )

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, value: str) -> str:
        """A value that was meant to hold a key must not leave the door open."""
        if value and not _listed(value):
            raise ValueError("holds no key: give some with commas between, or leave it empty for none")
        if not all("!" <= one <= "~" for key in _listed(value) for one in key):
            raise ValueError("a key has to be of printable ASCII without spaces, which headers can hold")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: str) -> str:
        for origin in _listed(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin: give SCHEME://HOST or SCHEME://HOST:PORT and no path, or *"
                )
        return value

    @property
    def limits(self) -> Limits:
        """What the decoder refuses."""
        return Limits(self.max_pixels, self.max_side)

    @property
    def keys(self) -> list[str]:
        """The API keys."""
        return _listed(self.api_keys)

    @property
    def origins(self) -> list[str]:
        """The web origins that may call."""
        return _listed(self.cors_origins)


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
        # A default that follows from a wrong value is no second mistake.
        wrong = [one for one in error.errors() if one["type"] != "default_factory_not_called"]
        lines = (_describe(tuple(one["loc"]), one["input"], one["msg"]) for one in wrong)
        raise SettingsError("\n".join(lines)) from error


def describe_settings() -> str:
    """Every variable with its default and meaning, a line each."""
    rows = [
        (f"{PREFIX}{name.upper()}", shown_default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {what}" for name, value, what in rows)


def shown_default(field: FieldInfo) -> str:
    """A setting's default as one would write it into its variable, or a word for one that can't be."""
    if field.default_factory is not None:
        return "by CPUs"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return {None: "unset", "": "empty"}.get(field.default, str(field.default))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _describe(location: tuple[int | str, ...], value: object, allowed: str) -> str:
    name = f"{PREFIX}{'_'.join(map(str, location)).upper()}"
    shown = "(hidden)" if name in _SECRET else value
    return f"{name}={shown}: {allowed.removeprefix('Value error, ')}"
