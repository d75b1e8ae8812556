"""Offers for a public body: which it may join, from whom, at which price, and how.

1. The catalogue in memory (``offer_index.py``) ranks every offer that the caller may see, in steps.
2. The documents of one page are read by the predicate of visibility, and answered in full: an offer that was
   narrowed or withdrawn in between is not shown.
3. Deployments that serve the body already are read, and the age of each operator's copy.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from heapq import nsmallest

import msgspec

from federation.domain.content.offer import Offer
from federation.domain.content.tariff import BodyKind
from federation.domain.document import Document, check_id
from federation.domain.errors import Invalid, NotFound
from federation.domain.exposure.answers import CopyAge
from federation.domain.feed import PAGE_BYTES
from federation.domain.offers.answers import (
    Asked,
    BodyNumber,
    BodyNumbers,
    BodyOffers,
    OfferAnswer,
    ServingDeployment,
    missing_numbers,
)
from federation.domain.offers.eligibility import Location
from federation.domain.offers.joining import mailto
from federation.domain.offers.quote import PricedBody
from federation.domain.offers.ranking import Rank, elsewhere_rank
from federation.domain.territories.areas import Area, area_of
from federation.domain.territories.public_bodies import PublicBody, location_codes
from federation.domain.visibility import Caller
from federation.node import bodies
from federation.node.copy_ages import UNKNOWN_COPY, copy_ages
from federation.node.node import Node
from federation.node.offer_index import decode_offer
from federation.node.serving import serving_deployments
from federation.store.together import Together

PAGE = 50
"""Offers of a page, unless the caller says otherwise, and at most."""
STEP_PARTS = 500
"""Offers and parts of tariffs that are computed before other tasks have a turn: some milliseconds."""
STEP_DOCUMENTS = 10
"""Documents of a page that are answered before other tasks have a turn."""
MAX_NUMBER = 1_000_000_000
"""Numbers of a body, at most: beyond all that there are."""


class GivenFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a body that the caller gives, as far as the register does not have them."""

    kind: BodyKind | None = None
    departements: tuple[str, ...] = ()
    """Codes of the départements that it is in, for a body that the register does not have."""
    population: int | None = None
    agents: int | None = None
    users: int | None = None
    gigabytes: int | None = None
    member_communes: int | None = None


NO_FACTS = GivenFacts()


async def of_body(
    node: Node,
    body_id: str,
    given: GivenFacts = NO_FACTS,
    *,
    by: Caller,
    limit: int = PAGE,
    after: str | None = None,
    with_elsewhere: bool = True,
) -> tuple[BodyOffers, str | None]:
    """A page of the offers for a body, and the key after which the next one begins.

    ``with_elsewhere``: with the offers for other territories, at the end. Raises Invalid.
    """
    asked = ask(node, await bodies.get_body(body_id), given)
    begins = _read_key(after) if after is not None else None
    catalogue = await node.offer_index.current(node.store)
    question = catalogue.ask(asked.priced, asked.location, asked.on, by=by)
    for _ in question.steps(STEP_PARTS):
        await asyncio.sleep(0)
    page = _page(question.ranks, question.elsewhere() if with_elsewhere else (), begins, limit + 1)
    answers, served_by, last = await _answers(node, asked, page[:limit], by)
    following = last if last is not None else (page[limit - 1] if len(page) > limit else None)
    return (
        BodyOffers(
            body=asked.body,
            kind=asked.priced.kind,
            numbers=_numbers(asked.body, asked.priced, given),
            on=asked.on.isoformat(),
            counts=question.counts,
            missing=missing_numbers(answers),
            incomplete=catalogue.incomplete_origins,
            offers=answers,
            served_by=served_by,
        ),
        _write_key(following) if following is not None else None,
    )


async def of_body_one(
    node: Node, body_id: str, offer_id: str, given: GivenFacts = NO_FACTS, *, by: Caller
) -> tuple[Asked, Document[Offer], OfferAnswer]:
    """One offer (``origin/key``) for a body, with its document. Raises Invalid, NotFound."""
    asked = ask(node, await bodies.get_body(body_id), given)
    check_id(*(offer_id.split("/", 1) if "/" in offer_id else (offer_id, "")))
    async with node.store.read() as tx:
        found = await tx.offers.documents([offer_id], visible_to=by)
        ages = await copy_ages(node, tx, by=by) if found else {}
    if not found:
        raise NotFound("there is no offer {id} that you may see", id=offer_id)
    document = decode_offer(found[0])
    return asked, document, _answer(node, asked, document, ages.get(document.origin, UNKNOWN_COPY), ())


def ask(node: Node, body: PublicBody, given: GivenFacts) -> Asked:
    """The question for a body with the facts that are given. Raises Invalid."""
    if body.known:
        for parameter, value in (("kind", given.kind), ("departement", given.departements)):
            if value and value != body.kind:
                raise Invalid(
                    "the register knows {body}: {parameter} cannot be given",
                    pointer=f"?{parameter}",
                    body=body.id,
                    parameter=parameter,
                )
    kind: BodyKind | None = body.kind if body.known else given.kind
    if kind is None:
        raise Invalid(
            "kind is needed: the register does not have {body}, and prices depend on its kind",
            pointer="?kind",
            fault="missing",
            body=body.id,
        )
    priced = PricedBody(
        kind=kind,
        population=given.population if given.population is not None else body.population,
        agents=given.agents,
        users=given.users,
        gigabytes=given.gigabytes,
        member_communes=(
            given.member_communes if given.member_communes is not None else body.member_communes
        ),
    )
    on = node.clock().astimezone(node.time_zone).date()
    return Asked(body=body, priced=priced, location=_location(body, given), on=on)


def _location(body: PublicBody, given: GivenFacts) -> Location | None:
    departements, groupings = location_codes(body)
    if not body.known:
        areas = [_departement(code) for code in given.departements]
        departements = tuple(sorted({code for area in areas for code in area.codes}))
    return Location(departements, groupings) if departements else None


def _departement(code: str) -> Area:
    area = area_of(code)
    if area is None or area.kind != "departement":
        raise Invalid(
            "{territory} is no département or région of the register",
            pointer="?departement",
            fault="not-allowed",
            territory=code,
        )
    return area


def _numbers(body: PublicBody, priced: PricedBody, given: GivenFacts) -> BodyNumbers:
    found: dict[str, BodyNumber] = {}
    for name in BodyNumbers.__struct_fields__:
        value = priced.number(name)
        if value is not None:
            is_given = getattr(given, name) is not None
            found[name] = BodyNumber(value, "given" if is_given else "register")
    return BodyNumbers(**found)


def _page(ranks: list[Rank], elsewhere: Iterable[str], begins: Rank | None, limit: int) -> list[Rank]:
    """The first ranks after a page key; offers for other territories come last, by their ids."""
    found = nsmallest(limit, ranks if begins is None else (rank for rank in ranks if rank > begins))
    if len(found) < limit:
        last = elsewhere_rank("") if begins is None else begins
        beyond = (rank for id_ in elsewhere if (rank := elsewhere_rank(id_)) > last)
        found += nsmallest(limit - len(found), beyond)
    return found


def _write_key(rank: Rank) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(rank)).rstrip(b"=").decode()


def _read_key(text: str) -> Rank:
    """Raises Invalid for a text that is no page key."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(raw, type=Rank)
    except (ValueError, msgspec.MsgspecError):
        raise Invalid("after is no key of a page of offers", pointer="?after") from None


async def _answers(
    node: Node, asked: Asked, page: list[Rank], by: Caller
) -> tuple[tuple[OfferAnswer, ...], tuple[ServingDeployment, ...], Rank | None]:
    """The answers for a page, the deployments that serve the body, and the last rank of a page that is cut.

    A page is cut where its documents are longer than ``PAGE_BYTES``.
    """
    async with node.store.read() as tx:
        async with Together(tx) as reads:
            found_read = reads.start(reads.tx.offers.documents([rank.id for rank in page], visible_to=by))
            ages_read = reads.start(copy_ages(node, reads.tx, by=by))
        raw, ages = found_read.result(), ages_read.result()
        documents: dict[str, Document[Offer]] = {}
        sizes: dict[str, int] = {}
        for number, body in enumerate(raw, 1):
            document = decode_offer(body)
            id_ = f"{document.origin}/{document.key}"
            documents[id_], sizes[id_] = document, len(body)
            if not number % STEP_DOCUMENTS:
                await asyncio.sleep(0)
        solutions = {document.content.solution for document in documents.values() if document.content}
        serving = await serving_deployments(tx, asked, solutions, by=by)
    answers: list[OfferAnswer] = []
    size, cut = 0, None
    for number, rank in enumerate(page, 1):
        found = documents.get(rank.id)
        if found is None:
            continue
        size += sizes[rank.id]
        if size > PAGE_BYTES and answers:
            break
        cut = rank
        answers.append(_answer(node, asked, found, ages.get(found.origin, UNKNOWN_COPY), serving))
        if not number % STEP_DOCUMENTS:
            await asyncio.sleep(0)
    else:
        cut = None
    return tuple(answers), serving, cut


def _answer(
    node: Node,
    asked: Asked,
    document: Document[Offer],
    copy: CopyAge,
    serving: tuple[ServingDeployment, ...],
) -> OfferAnswer:
    """One offer in full."""
    offer = document.content
    assert offer is not None  # noqa: S101 - tombstones are not read
    id_ = f"{document.origin}/{document.key}"
    state, reasons = asked.reasons(offer)
    first, later = asked.prices(offer)
    tariff = offer.tariff
    return OfferAnswer(
        id=id_,
        origin=document.origin,
        tlp=document.tlp,
        audience=document.audience,
        updated_at=document.updated_at,
        title=offer.title,
        summary=offer.summary,
        solution=offer.solution,
        state=state,
        reasons=reasons,
        pricing=offer.pricing,
        first_year=first,
        following_years=later,
        decided_on=tariff.decided_on if tariff else None,
        source_url=tariff.source_url if tariff else None,
        valid_until=offer.valid_until,
        trial_months=offer.trial_months,
        requires=offer.requires,
        steps=offer.steps,
        contact=offer.contact,
        mailto=mailto(offer, id_, asked.body, asked.priced),
        deliberation_url=f"{node.url}/fr/bodies/{asked.body.id}/deliberation.txt?offer={id_}",
        has_own_deliberation=offer.deliberation_template is not None,
        deployments=offer.deployments,
        consultation=offer.consultation,
        served_by=tuple(
            found
            for found in serving
            if found.id in offer.deployments
            or (found.solution == offer.solution and found.id.startswith(f"{document.origin}/"))
        ),
        copy=copy,
    )
