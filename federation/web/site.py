"""The modules of pages whose handlers the application is made of, beside those of the API."""

from __future__ import annotations

from typing import Any

from federation.web import (
    answers,
    bodies,
    coverage,
    deadlines,
    deployments,
    duties,
    home,
    identity_provider,
    incidents,
    mine,
    operators,
    search,
    login,
    operators,
    passkeys,
    solutions,
    status,
    subscriptions,
    writing,
)

PAGES: tuple[Any, ...] = (
    coverage,
    duties,
    answers,
    deadlines,
    deployments,
    bodies,
    home,
    identity_provider,
    incidents,
    mine,
    operators,
    search,
    login,
    operators,
    passkeys,
    solutions,
    status,
    subscriptions,
    writing,
)
