"""Settings, from the environment (``FEDERATION_*``) and the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from federation.domain.errors import Broken
from federation.domain.values import OPERATOR_PATTERN


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a node needs to know before it starts. Each member is ``FEDERATION_`` and its name."""

    operator: str
    """Id of the operator, for ever: every record carries it."""
    url: str
    """Base URL at which others reach the node; issuer of its tokens."""
    name: str
    """The operator's name, for people."""
    data_dir: Path
    """Where the embedded PostgreSQL keeps its data, when no database is named."""
    database_url: str | None = None
    """``postgresql://…``; without it the node runs its own PostgreSQL."""
    host: str = "127.0.0.1"
    """Address the API listens on."""
    port: int = 8470
    """Port the API listens on."""
    connections: int = 10
    """Database connections of one process, at most."""
    log_level: str = "INFO"


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the environment. Raises Broken that names the variable at fault."""

    def text(name: str, otherwise: str | None = None) -> str:
        value = environment.get(f"FEDERATION_{name}", "").strip() or otherwise
        if value is None:
            raise Broken(f"FEDERATION_{name} is not set; see `federation serve --help`")
        return value

    def number(name: str, otherwise: int, least: int, most: int) -> int:
        value = text(name, str(otherwise))
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise Broken(f"FEDERATION_{name} is {value!r}; it must be a number from {least} to {most}")
        return int(value)

    operator = text("OPERATOR")
    if not re.fullmatch(OPERATOR_PATTERN, operator):
        raise Broken(
            f"FEDERATION_OPERATOR is {operator!r}; an operator's id has small letters, digits, dots, hyphens"
        )
    port = number("PORT", 8470, 1, 65_535)
    url = text("URL", f"http://127.0.0.1:{port}").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise Broken(
            f"FEDERATION_URL is {url!r}; it must be the node's base URL, such as https://node.example.org"
        )
    level = text("LOG_LEVEL", "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise Broken(f"FEDERATION_LOG_LEVEL is {level!r}; it must be DEBUG, INFO, WARNING or ERROR")
    database = environment.get("FEDERATION_DATABASE_URL", "").strip() or None
    if database and not database.startswith(("postgresql://", "postgres://")):
        raise Broken("FEDERATION_DATABASE_URL must begin with postgresql://")
    return Settings(
        operator=operator,
        url=url,
        name=text("NAME", operator),
        data_dir=Path(text("DATA_DIR", "federation-data")).expanduser().absolute(),
        database_url=database,
        host=text("HOST", "127.0.0.1"),
        port=port,
        connections=number("CONNECTIONS", 10, 4, 200),
        log_level=level,
    )
