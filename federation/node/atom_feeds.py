"""Feeds for feed readers (Atom): the records that changed last.

There is one for each type, operator, theme, solution and public body, and one of everything.

1. Feed readers do not log in: a feed has CLEAR records, those that anybody sees.
2. An entry is a record. It comes up again when the record is revised; a retracted one leaves the feed.
3. A feed of what is not there, or not public, is not found: both are one answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from federation.domain.content.offer import Offer
from federation.domain.content.solution import THEMES, Solution
from federation.domain.errors import Invalid, NotFound, Retracted
from federation.domain.formats.atom import AtomEntry, AtomFeed, atom_feed
from federation.domain.messages import Language
from federation.domain.query import Query
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.domain.territories.identity import names_of_body
from federation.domain.territories.public_bodies import containing_codes
from federation.domain.values import EVERYWHERE, OPERATOR_PATTERN, instant
from federation.domain.visibility import anonymous
from federation.node import bodies, records
from federation.node.node import Node

MAX_ENTRIES = 50
"""Records of a feed, at most: those changed last."""
TYPE_NAMES: dict[str, dict[Language, str]] = {
    "solution": {"en": "Solutions", "fr": "Solutions"},
    "deployment": {"en": "Deployments", "fr": "Déploiements"},
    "incident": {"en": "Incidents", "fr": "Incidents"},
    "statement": {"en": "Statements", "fr": "Réponses aux incidents"},
    "operator": {"en": "Operators", "fr": "Opérateurs"},
    "group": {"en": "Groups", "fr": "Groupes"},
    "membership": {"en": "Memberships", "fr": "Adhésions"},
    "offer": {"en": "Offers", "fr": "Offres"},
    "practice": {"en": "Practices", "fr": "Pratiques"},
    "meeting": {"en": "Meetings", "fr": "Réunions"},
    "contribution": {"en": "Contributions", "fr": "Contributions"},
    "purchase": {"en": "Joint purchases", "fr": "Achats groupés"},
    "consultation": {"en": "Consultations", "fr": "Consultations"},
    "participation": {"en": "Participations", "fr": "Participations"},
}
"""The word for each type, as a category of an entry and in the title of a feed."""
_UNTITLED: dict[str, dict[Language, str]] = {
    "deployment": {"en": "Deployment of %s", "fr": "Déploiement de %s"},
    "statement": {"en": "Answer to %s", "fr": "Réponse à %s"},
    "contribution": {"en": "Contribution %s", "fr": "Contribution %s"},
    "participation": {"en": "Participation in %s", "fr": "Participation à %s"},
}
"""Titles of records that have none, with what they are about."""
_WITH_PAGE = frozenset("solution deployment incident operator practice meeting purchase consultation".split())
_SUBJECTS = ("solution", "incident", "consultation", "operator")
"""Members that name the record that a record without a title is about."""


class _Shown(msgspec.Struct, frozen=True):
    """The members of a content of any type that an entry shows."""

    name: Any = None
    title: Any = None
    summary: Any = None
    themes: tuple[str, ...] = ()
    solution: Any = None
    incident: Any = None
    consultation: Any = None
    operator: Any = None


class _Entry(msgspec.Struct, frozen=True):
    type: str
    origin: str
    key: str
    created_at: str
    updated_at: str
    content: _Shown


_entries = msgspec.json.Decoder(_Entry)


def no_such_feed() -> NotFound:
    """The refusal of a feed that is not there, or has nothing public."""
    return NotFound("there is no such feed")


async def of_type(node: Node, plural: str, language: Language) -> bytes:
    """The feed of a type, by its plural name, or of everything (``all``). Raises NotFound."""
    kinds = [kind for kind in TYPES.values() if plural in ("all", kind.plural)]
    if not kinds:
        raise no_such_feed()
    title = {"en": "all records", "fr": "toutes les fiches"}[language]
    if plural != "all":
        title = TYPE_NAMES[kinds[0].type][language]
    page = f"/{plural}" if len(kinds) == 1 and kinds[0].type in _WITH_PAGE else ""
    return await _feed(node, [Query(kind=kind) for kind in kinds], plural, title, page, language)


async def of_operator(node: Node, operator: str, language: Language) -> bytes:
    """The feed of an operator's records. Raises NotFound where none is public."""
    if not re.fullmatch(OPERATOR_PATTERN, operator):
        raise no_such_feed()
    queries = [Query(kind=kind, facets=(("origin", (operator,)),)) for kind in TYPES.values()]
    title, page = operator, f"/operators/{operator}"
    return await _feed(
        node, queries, f"operators/{operator}", title, page, language, is_there=operator == node.operator
    )


async def of_theme(node: Node, theme: str, language: Language) -> bytes:
    """The feed of a theme. Raises NotFound."""
    if theme not in THEMES:
        raise no_such_feed()
    queries = [Query(kind=kind, facets=(("theme", (theme,)),)) for kind in _kinds_with("theme")]
    return await _feed(node, queries, f"themes/{theme}", theme, f"/solutions?theme={theme}", language)


async def of_solution(node: Node, origin: str, key: str, language: Language) -> bytes:
    """The feed of a solution: its record, and those that name it. Raises NotFound, Retracted."""
    try:
        stored = await records.find(node, Solution, origin, key, by=anonymous(node.operator))
    except Invalid as error:
        raise NotFound(error.message) from error
    if stored.retracted:
        raise Retracted(
            "{kind} {origin}/{key} has been retracted by {origin}", kind=Solution.type, origin=origin, key=key
        )
    id_ = f"{origin}/{key}"
    queries = [Query(kind=kind, facets=(("solution", (id_,)),)) for kind in _kinds_with("solution")]
    title = _words(_entries.decode(stored.document).content.name, language) or id_
    return await _feed(
        node, queries, f"solutions/{id_}", title, f"/solutions/{id_}", language, also=[stored.document]
    )


async def of_body(node: Node, body_id: str, language: Language) -> bytes:
    """The feed for a public body: offers for its kind and territory, and what names it. Raises NotFound."""
    try:
        body = await bodies.get_body(body_id)
    except Invalid as error:
        raise NotFound(error.message) from error
    names = tuple(names_of_body(body.id))
    queries = [Query(kind=kind, beneficiaries=names) for kind in _kinds_with("beneficiary")]
    if body.kind is not None:
        territories = ("territory", (*containing_codes(body), EVERYWHERE))
        queries.append(Query(kind=Offer, facets=(("kind", (body.kind,)), territories)))
    title = body.name or body.id
    return await _feed(node, queries, f"bodies/{body_id}", title, f"/bodies/{body_id}", language)


def _kinds_with(filter_: str) -> list[type[Content]]:
    return [kind for kind in TYPES.values() if filter_ in kind.filters]


async def _feed(
    node: Node,
    queries: Iterable[Query],
    name: str,
    title: str,
    page: str,
    language: Language,
    *,
    also: Sequence[bytes] = (),
    is_there: bool = True,
) -> bytes:
    """The feed of what some queries find. ``is_there``: an empty feed is one, too. Raises NotFound."""
    by = anonymous(node.operator)
    documents = list(also)
    async with node.store.read() as tx:
        for query in queries:
            newest = msgspec.structs.replace(query, limit=MAX_ENTRIES)
            documents += (await tx.records.collect(newest, visible_to=by))[0]
    if not (documents or is_there):
        raise no_such_feed()
    return await asyncio.to_thread(_write, node, documents, name, title, page, language)


def _write(
    node: Node, documents: Iterable[bytes], name: str, title: str, page: str, language: Language
) -> bytes:
    entries = [_entries.decode(document) for document in documents]
    entries.sort(
        key=lambda entry: (instant(entry.updated_at), entry.type, entry.origin, entry.key), reverse=True
    )
    return atom_feed(
        AtomFeed(
            id=f"urn:federation:feed:{node.operator}:{name}:{language}",
            title=f"{node.name} – {title}",
            language=language,
            address=f"{node.url}/feeds/{name}.atom?language={language}",
            page=f"{node.url}/{language}{page}",
            publisher=node.name,
            entries=[_entry(node, entry, language) for entry in entries[:MAX_ENTRIES]],
        )
    )


def _entry(node: Node, entry: _Entry, language: Language) -> AtomEntry:
    content, id_, plural = entry.content, f"{entry.origin}/{entry.key}", TYPES[entry.type].plural
    kind = TYPE_NAMES[entry.type][language]
    subject = next((value for name in _SUBJECTS if (value := getattr(content, name))), id_)
    page = f"/{plural}/{id_}" if entry.type in _WITH_PAGE else "/"
    if entry.type == "operator":
        page = f"/operators/{entry.origin}"
    elif entry.type == "offer" and content.solution:
        page = f"/solutions/{content.solution}"
    return AtomEntry(
        id=f"urn:federation:record:{plural}:{id_}",
        title=_words(content.name, language)
        or _words(content.title, language)
        or _UNTITLED.get(entry.type, {language: "%s"})[language] % subject,
        published=entry.created_at,
        updated=entry.updated_at,
        author=entry.origin,
        page=f"{node.url}/{language}{page if page != '/' else ''}",
        record=f"{node.url}/v1/{plural}/{id_}",
        categories=((entry.type, kind), *((theme, theme) for theme in content.themes)),
        summary=_words(content.summary, language),
    )


def _words(texts: Any, language: Language) -> str:
    """A text in a language, else in the first one that it has; a text that has no language."""
    if not isinstance(texts, dict):
        return texts if isinstance(texts, str) else ""
    return texts.get(language) or next(iter(texts.values()), "")
