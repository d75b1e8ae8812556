"""The modules of pages whose handlers the application is made of, beside those of the API."""

from __future__ import annotations

from typing import Any

from federation.web import (
    coverage,
    duties,
    answers,
    home,
    incidents,
    operators,
    search,
    solutions,
    status,
    writing,
)

PAGES: tuple[Any, ...] = (
    coverage,
    duties,
    answers,
    home,
    incidents,
    operators,
    search,
    solutions,
    status,
    writing,
)
