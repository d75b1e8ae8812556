"""Consultations over HTTP: the needs added up, and the essential data of the contract."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.domain.errors import Conflict, NotFound, Retracted
from federation.domain.purchasing.answers import ConsultationNeeds
from federation.edge.answers import JSON, NO_STORE, json_answer
from federation.edge.operations import Answer, Operation, Right
from federation.edge.requests import caller_of, node_of
from federation.node import purchases

ONE = "/v1/consultations/{origin:str}/{key:str}"
HEADERS = {**NO_STORE, "vary": "authorization"}
DECP: dict[str, Any] = {
    "type": "object",
    "required": ["marches", "missing"],
    "properties": {
        "marches": {
            "type": "object",
            "required": ["marche"],
            "properties": {
                "marche": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["id", "objet"],
                        "properties": {
                            "id": {"type": "string", "minLength": 1, "maxLength": 16},
                            "objet": {"type": "string", "maxLength": 1000},
                            "acheteur": {
                                "type": "object",
                                "required": ["id"],
                                "properties": {"id": {"type": "string"}},
                            },
                            "codeCPV": {"type": "string"},
                            "dureeMois": {"type": "integer", "minimum": 1},
                            "dateNotification": {"type": "string", "format": "date"},
                            "montant": {"type": "number", "minimum": 1},
                            "titulaires": {"type": "array", "items": {"type": "object"}},
                        },
                    },
                }
            },
        },
        "missing": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Members that the schema requires and the record does not hold.",
        },
    },
}
"""The published essential data of a French public contract, as far as a record holds them."""


@handles(
    Operation(
        act="consultation_needs",
        id="getConsultationNeeds",
        method="GET",
        path=f"{ONE}/needs",
        # The sums are made of participations: they need the right to read these.
        right=Right("participations.read", open=True),
        tag="consultations",
        answers=(Answer(200, "The needs, as far as the caller may see them", {JSON: ConsultationNeeds}),),
        errors=(NotFound, Retracted, Conflict),
    )
)
async def consultation_needs(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Add up the needs of a consultation: what was given in time, what is late, and who has not answered."""
    needs = await purchases.needs_of(node_of(request), origin, key, by=caller_of(request))
    # Hundreds of participations with a hundred needs each: written down beside the event loop.
    return await asyncio.to_thread(json_answer, needs, headers=HEADERS)


@handles(
    Operation(
        act="consultation_decp",
        id="getConsultationContract",
        method="GET",
        path=f"{ONE}/decp.json",
        right=Right("consultations.read", open=True),
        tag="consultations",
        answers=(Answer(200, "The contract, in the members of DECP 2.0.3", {JSON: DECP}),),
        errors=(NotFound, Retracted, Conflict),
    )
)
async def consultation_decp(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Get the essential data of the contract, for its buyer to complete and publish.

    Refused with 409 before the award. `missing` names members of DECP that the record does not hold.
    """
    data = await purchases.decp(node_of(request), origin, key, by=caller_of(request))
    return json_answer(data.document, headers=HEADERS)


HANDLERS = (consultation_needs, consultation_decp)
