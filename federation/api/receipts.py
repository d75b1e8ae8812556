"""Answers of peers to this node's feeds: receipts of withdrawals, and the entries that they rejected."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.examples import FEEDBACK
from federation.api.handlers import handles
from federation.domain.draft import read_draft
from federation.domain.errors import Invalid
from federation.domain.rejection import FeedbackView
from federation.edge.answers import JSON, NO_STORE, answer, json_answer
from federation.edge.operations import Answer, Body, Operation, Right
from federation.edge.requests import body_of, caller_of, node_of
from federation.node import receipts
from federation.node.receipts import Feedback, WithdrawalsView


class SignedReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a peer signs when it has dropped what was withdrawn."""

    receipt: str
    """A JWS of type ``federation-receipt+jwt``."""


class FeedbackList(msgspec.Struct, frozen=True):
    """The entries that peers could not take."""

    refused: tuple[FeedbackView, ...]


@handles(
    Operation(
        act="receipt",
        id="sendReceipt",
        method="POST",
        path="/v1/receipts",
        right=Right("feeds.read"),
        tag="feeds",
        bodies=(Body(JSON, SignedReceipt, {"receipt": "eyJ0eXAiOi….eyJpc3Mi….MEUC…"}),),
        answers=(Answer(204, "Noted"),),
        errors=(Invalid,),
    )
)
async def send_receipt(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Confirm to this node, as its peer, that you have dropped what was withdrawn."""
    signed = read_draft(await body_of(request), SignedReceipt)
    await receipts.accept_receipt(node_of(request), signed.receipt, by=caller_of(request))
    return answer(b"", status=204, headers=NO_STORE)


@handles(
    Operation(
        act="feedback",
        id="sendFeedback",
        method="POST",
        path="/v1/feedback",
        right=Right("feeds.read"),
        tag="feeds",
        bodies=(Body(JSON, Feedback, FEEDBACK),),
        answers=(Answer(204, "Noted"),),
        errors=(Invalid,),
    )
)
async def send_feedback(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Tell this node, as its peer, which entries of its feeds you could not take."""
    feedback = read_draft(await body_of(request), Feedback)
    await receipts.accept_feedback(node_of(request), feedback, by=caller_of(request))
    return answer(b"", status=204, headers=NO_STORE)


@handles(
    Operation(
        act="withdrawals",
        id="listWithdrawals",
        method="GET",
        path="/v1/withdrawals",
        right=Right("peers.read"),
        tag="feeds",
        answers=(Answer(200, "Withdrawals", {JSON: WithdrawalsView}),),
    )
)
async def list_withdrawals(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List what this node has taken back from its peers, and who has confirmed that it dropped it."""
    return json_answer(await receipts.withdrawals(node_of(request)), headers=NO_STORE)


@handles(
    Operation(
        act="refused",
        id="listFeedback",
        method="GET",
        path="/v1/feedback",
        right=Right("peers.read"),
        tag="feeds",
        answers=(
            Answer(
                200,
                "What peers could not take",
                {JSON: FeedbackList},
            ),
        ),
    )
)
async def list_feedback(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the entries of this node that its peers could not take, and why."""
    return json_answer(FeedbackList(await receipts.feedback(node_of(request))), headers=NO_STORE)


HANDLERS = (send_receipt, send_feedback, list_withdrawals, list_feedback)
