"""Logins under way: stored from the first step to the last, under a secret that the browser has."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from federation.domain.invitation import fingerprint, new_secret
from federation.domain.login import LOGIN_DURATION, LoginState
from federation.node.node import Node

Kind = Literal["passkey", "new-passkey", "identity-provider", "demo"]


async def remember(node: Node, kind: Kind, state: LoginState, duration: timedelta = LOGIN_DURATION) -> str:
    """Store a login under way. Returns its secret of 43 characters, this once."""
    secret = new_secret()
    async with node.store.autocommit() as tx:
        await tx.logins.add_state(fingerprint(secret), kind, state, node.clock() + duration)
    return secret


async def take(node: Node, kind: Kind, secret: str) -> LoginState | None:
    """A login under way, which then is over: it holds once. None where there is none."""
    async with node.store.autocommit() as tx:
        return await tx.logins.take_state(fingerprint(secret), kind, node.clock())
