"""Drafts of offers for the node's own deployments that have one of the former kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from federation.domain.content.deployment import Deployment
from federation.domain.content.offer import Offer
from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.draft import KeyedDraft, check_draft
from federation.domain.errors import CommandFailed, Invalid
from federation.domain.offers.drafts import Drafted, OfferDraft, Vat, draft_offer
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.record_content import Content
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.node import Node


class SkippedDeployment(msgspec.Struct, frozen=True):
    """A deployment whose offer becomes no draft, and why."""

    id: str
    reason: str


class OfferDrafts(msgspec.Struct, frozen=True):
    """The drafts, and what a person has to look at."""

    drafts: tuple[OfferDraft, ...]
    without_prices: tuple[SkippedDeployment, ...]
    """Deployments whose prices are in no draft."""
    skipped: tuple[SkippedDeployment, ...]


async def draft_offers(node: Node, *, contact: str | None, vat: Vat | None, by: Caller) -> OfferDrafts:
    """A draft for each own deployment with an open offer that no offer names yet; nothing is published.

    ``contact``: the mailbox of the offers; without one, that of the operator's own record. Raises
    CommandFailed where there is none.
    """
    contact = contact or await _own_contact(node, by)
    offered = {id_ async for _, content in _own(node, Offer, by) for id_ in content.deployments}
    names: dict[str, str] = {}
    drafts: list[OfferDraft] = []
    without_prices: list[SkippedDeployment] = []
    skipped: list[SkippedDeployment] = []
    async for document, content in _own(node, Deployment, by):
        offer, id_ = content.offer, f"{document.origin}/{document.key}"
        if offer is None:
            continue
        if not offer.open or id_ in offered:
            reason = "an offer names it already" if id_ in offered else "its offer is not open"
            skipped.append(SkippedDeployment(id_, reason))
            continue
        solution = content.solution
        if solution not in names:
            names[solution] = await _name_of(node, solution, by)
        try:
            drafted = _checked(draft_offer(document, name=names[solution], contact=contact, vat=vat))
        except Invalid as error:
            skipped.append(SkippedDeployment(id_, f"{error.pointer}: {error.detail}"))
            continue
        drafts.append(drafted.draft)
        if drafted.left_out:
            without_prices.append(SkippedDeployment(id_, drafted.left_out))
    return OfferDrafts(tuple(drafts), tuple(without_prices), tuple(skipped))


def _checked(drafted: Drafted) -> Drafted:
    """The draft, if the node would take it. Raises Invalid."""
    shape: Any = KeyedDraft
    check_draft(msgspec.to_builtins(drafted.draft), shape[Offer])
    return drafted


async def _own(node: Node, kind: type[Content], by: Caller) -> AsyncIterator[tuple[Document[Any], Any]]:
    """The node's own live records of a type with their contents, page by page."""
    shape: Any = Document
    decoder = msgspec.json.Decoder(shape[kind])
    open_ones = (("open", ("true", "false")),) if kind is Deployment else ()
    after: PageKey | None = None
    while True:
        query = Query(
            kind=kind,
            sort="id",
            limit=MAX_PAGE,
            after=after,
            facets=(("origin", (node.operator,)), *open_ones),
        )
        documents, after, _ = await records.collect(node, query, by=by)
        for document in documents:
            read = decoder.decode(document)
            yield read, read.content
        if after is None:
            return
        await asyncio.sleep(0)


async def _own_contact(node: Node, by: Caller) -> str:
    async for _, content in _own(node, Operator, by):
        return str(content.contact)
    raise CommandFailed("name a functional mailbox by --contact: this node has no record of its operator")


async def _name_of(node: Node, solution: str, by: Caller) -> str:
    """The name of a solution; its id where it is not here."""
    origin, _, key = solution.partition("/")
    async with node.store.read_by_key() as tx:
        stored = await tx.records.find(Solution.type, origin, key, visible_to=by)
    if stored is None or stored.retracted or stored.not_understood:
        return solution
    return str(msgspec.json.decode(stored.document)["content"]["name"])
