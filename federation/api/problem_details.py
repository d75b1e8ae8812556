"""Refusals as HTTP has them: their statuses, and the members of a problem (RFC 9457)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from federation.domain.faults import FAULT_CODES, MAX_FAULTS, Fault
from federation.domain.messages import Language, Message
from federation.edge.statuses import CODES

TYPE = "urn:federation:problem:{code}"
"""The ``type`` of a problem, the same at every node; the page of a node about it is in ``help``."""


class FaultDetail(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A member of the body, or a parameter of the query, that is at fault."""

    pointer: Annotated[
        str,
        Meta(
            description="RFC 6901 pointer to the member, or `?` and the name of a parameter of the query.",
            examples=["/content/licence", "?status"],
        ),
    ]
    code: Annotated[
        str, Meta(description="Kind of fault, for programs.", extra_json_schema={"enum": list(FAULT_CODES)})
    ]
    detail: Annotated[str, Meta(description="For people, in the language of the answer.")]
    allowed: Annotated[
        tuple[str, ...], Meta(description="The values that it can have, where they are a list.")
    ] = ()
    rule: Annotated[int, Meta(ge=1, description="Number of the rule that is broken, with `rule`.")] | None = (
        None
    )


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The reason that a request was refused (RFC 9457)."""

    type: Annotated[
        str,
        Meta(
            description="`urn:federation:problem:` and the code: the same at every node.",
            examples=["urn:federation:problem:invalid"],
            extra_json_schema={"format": "uri"},
        ),
    ]
    code: Annotated[
        str, Meta(description="The problem, for programs.", extra_json_schema={"enum": list(CODES)})
    ]
    title: str
    status: int
    detail: str | None = None
    help: Annotated[
        str | None,
        Meta(description="A page about this problem.", extra_json_schema={"format": "uri"}),
    ] = None
    errors: Annotated[
        tuple[FaultDetail, ...],
        Meta(max_length=MAX_FAULTS, description="All members and parameters at fault."),
    ] = ()
    more: Annotated[int, Meta(ge=0, description="Faults beyond those listed, at least.")] = 0


def fault_details(faults: tuple[Fault, ...], language: Language = "en") -> tuple[FaultDetail, ...]:
    """Faults as a problem, or the report of an upload, lists them."""
    return tuple(
        FaultDetail(
            pointer=fault.pointer,
            code=fault.code,
            detail=fault.message.to_text(language),
            allowed=fault.allowed,
            rule=fault.rule,
        )
        for fault in faults
    )


def text_of(text: str, language: Language) -> str:
    """A title in a language."""
    return Message(text).to_text(language)
