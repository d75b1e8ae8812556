"""Faults of a request: the members and parameters that are wrong, each with a code for programs."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from federation.domain.messages import Message

FaultCode = Literal[
    "missing",
    "unknown-member",
    "duplicate-member",
    "set-by-node",
    "wrong-type",
    "pattern",
    "calendar",
    "out-of-range",
    "too-short",
    "too-long",
    "too-few",
    "too-many",
    "not-allowed",
    "text",
    "address",
    "rule",
    "unknown-parameter",
    "duplicate-parameter",
    "invalid",
]
FAULT_CODES: tuple[FaultCode, ...] = get_args(FaultCode)
"""All codes, published in the OpenAPI document. A version of the API only adds to them."""

MAX_FAULTS = 100
"""Faults of one answer, at most; beyond it they are counted."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A member or a parameter at fault."""

    pointer: str
    """RFC 6901 pointer to the member; of a parameter of the query, ``?`` and its name."""
    code: FaultCode = "invalid"
    message: Message
    allowed: tuple[str, ...] = ()
    """The values that it can have, where they are a short list."""
    rule: int | None = None
    """The number of the rule that is broken (``rule``), as ``domain/rules.py`` lists them."""

    @property
    def detail(self) -> str:
        """The message in English."""
        return str(self.message)
