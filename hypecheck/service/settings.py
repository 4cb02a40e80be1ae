"""What an operator can set: by ``HYPECHECK_…`` variables or a TOML file; the command line wins."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from hypecheck.errors import HypeCheckError
from hypecheck.types import Sensitivity

CONFIG = "HYPECHECK_CONFIG"  # names the TOML file
_RATE = re.compile(r"\d+\s*/\s*(?:second|minute|hour|day)\Z")
Strings = Annotated[tuple[str, ...], NoDecode]  # in a variable: separated by commas


class Settings(BaseSettings):
    """Settings of the service; an unknown key in the file is an error."""

    model_config = SettingsConfigDict(env_prefix="HYPECHECK_", extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    model: str = "default"
    sensitivity: Sensitivity = "balanced"

    max_body_bytes: Annotated[int, Field(ge=1024)] = 2_000_000
    max_characters: Annotated[int, Field(ge=1)] = 200_000
    max_documents: Annotated[int, Field(ge=1)] = 500
    max_findings: Annotated[int, Field(ge=1)] = 1_000  # of a document; the rest is left out
    max_answer_bytes: Annotated[int, Field(ge=100_000)] = 50_000_000  # of a batch
    max_blocks: Annotated[int, Field(ge=1)] = 5_000
    document_seconds: Annotated[float, Field(gt=0)] = 8.0  # LibreOffice gives up after ten
    body_seconds: Annotated[float, Field(gt=0)] = 20.0  # for a client to send its request
    threads: Annotated[int, Field(ge=1, le=64)] = min(4, os.cpu_count() or 1)
    queue: Annotated[int, Field(ge=0)] = 128  # requests that may wait for a thread
    cache: Annotated[int, Field(ge=0)] = 2_048  # answers kept in memory, by hash of the text

    keys_file: Path | None = None
    insecure: bool = False  # listen beyond this machine without keys
    rate: str | None = None  # "600/minute" for each key or address
    rate_storage: str = "async+memory://"  # several workers share limits in redis, say
    cors_origins: Strings = ()
    cors_origin_regex: str | None = None
    cors_extensions: bool = False  # browser extensions, whatever their id

    metrics: bool = True
    tracing: bool = False
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [v.strip() for v in value.split(",") if v.strip()] if type(value) is str else value

    @field_validator("cors_origins")
    @classmethod
    def _no_star(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in value:
            raise ValueError("name the origins: any page could send texts to the server with *")
        return value

    @field_validator("cors_origin_regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as e:
                raise ValueError(f"not a regular expression: {e}") from None
        return value

    @field_validator("rate")
    @classmethod
    def _rate(cls, value: str | None) -> str | None:
        if value is not None and not _RATE.match(value):
            raise ValueError("write it like 600/minute (second, minute, hour or day)")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the arguments first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        name = os.environ.get(CONFIG)
        if not name:
            return init_settings, env_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(name))


def read_settings(**given: Any) -> Settings:
    """Gather the settings; what is given here wins over environment and file.

    Raises:
        HypeCheckError: a value is wrong, unknown, or the file cannot be read.
    """
    name = os.environ.get(CONFIG)
    if name and not Path(name).is_file():
        raise HypeCheckError(f"{CONFIG}: there is no file {name}")
    known = {f"HYPECHECK_{f}".upper() for f in Settings.model_fields} | {CONFIG}
    if unknown := sorted(k for k in os.environ if k.startswith("HYPECHECK_") and k not in known):
        raise HypeCheckError(f"settings: unknown variable {unknown[0]}; docs/service.md lists them")
    try:
        return Settings(**{k: v for k, v in given.items() if v is not None})
    except ValidationError as e:
        lines = [f"{'.'.join(map(str, x['loc'])) or 'settings'}: {x['msg']}" for x in e.errors()]
        raise HypeCheckError("settings: " + "; ".join(lines)) from None
    except tomllib.TOMLDecodeError as e:
        raise HypeCheckError(f"{name}: {e}") from None


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_open(settings: Settings) -> None:
    """Refuse to be reachable from elsewhere without keys, unless told to.

    Raises:
        HypeCheckError: says what to do instead.
    """
    if settings.keys_file is None and not settings.insecure and not is_loopback(settings.host):
        raise HypeCheckError(
            f"refusing to listen on {settings.host} without API keys: anyone who reaches this "
            "machine could use it. Make a key with `hypecheck keys new NAME >> keys.txt` and "
            "serve with --keys-file keys.txt, or say --insecure"
        )


def export(given: Mapping[str, Any]) -> None:
    """Put what the command line gave into the environment, where the workers read it."""
    for name, value in given.items():
        if value is not None:
            text = ",".join(value) if isinstance(value, (list, tuple)) else str(value)
            os.environ[f"HYPECHECK_{name.upper()}"] = text
