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
FAULT_MEANINGS: dict[FaultCode, str] = {
    "missing": "A member or parameter that is required is not there.",
    "unknown-member": "The schema has no such member here; `allowed` lists those it has.",
    "duplicate-member": "An object has a member twice.",
    "set-by-node": "The node sets this member; leave it out.",
    "wrong-type": "The value is of another JSON type: a number for a text, for example.",
    "pattern": "The text does not have the form that is expected.",
    "calendar": "There is no such day or moment.",
    "out-of-range": "The number, or the moment in UTC, is too small or too large.",
    "too-short": "The text is too short.",
    "too-long": "The text is too long.",
    "too-few": "The array, or the map, has too few entries.",
    "too-many": "The array, the map or the request has too many entries.",
    "not-allowed": "The value is not on the list; `allowed` has the list, if it is short enough.",
    "text": "The text has characters that are not allowed, or is not in Unicode normal form C.",
    "address": "The address has no host, or has a user name, a password or a secret.",
    "rule": "A rule between members is broken; `rule` has its number.",
    "unknown-parameter": "The operation has no such parameter; `allowed` lists those it has.",
    "duplicate-parameter": "A parameter that has one value was given twice.",
    "invalid": "Another reason, which `detail` says.",
}

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
