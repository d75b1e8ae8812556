"""Searches in lists: the order of a page, and similar words where nothing is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from federation.domain.query import Query
from federation.domain.visibility import Caller
from federation.domain.words import LEAST_SIMILARITY, correctable_words
from federation.node.node import Node
from federation.node.operator_names import read_names
from federation.store.database import Reading
from federation.store.lists import Listed
from federation.store.search_all import TypeMatches
from federation.store.together import Together


class SearchResult(NamedTuple):
    """A page of a search."""

    listed: Listed
    suggestion: str | None
    """Other words with which something would be found, where nothing is."""


class AllFound(NamedTuple):
    """The matches of a search in several types."""

    by_type: dict[str, TypeMatches]
    is_cut: bool
    """True where more records match than were read: the totals are "at least"."""
    suggestion: str | None


async def search(node: Node, query: Query, *, by: Caller) -> SearchResult:
    """A page of documents. Where the words of a search find nothing, similar words that find something."""
    async with node.store.read() as tx:
        listed = await tx.records.search(query, visible_to=by)
        if listed.documents or query.words is None or query.after is not None:
            return SearchResult(listed, None)
        return SearchResult(listed, await _suggest(tx, query, by))


async def search_named(
    node: Node, query: Query, origins_of: Callable[[list[bytes]], set[str]], *, by: Caller
) -> tuple[SearchResult, dict[str, str]]:
    """A page as ``search`` gives it, and the names of operators. ``origins_of``: reads them of documents."""
    async with node.store.read() as tx:
        reader = tx.records.open_list(query, visible_to=by)
        documents, page_key = await reader.page()
        async with Together(tx) as reads:
            total = reads.start(reader.within(reads.tx.session).total()) if query.total else None
            names = reads.start(read_names(reads.tx, origins_of(documents), by=by))
        listed = Listed(
            documents,
            page_key,
            total.result() if total is not None else None,
            reader.sort,
            reader.not_understood,
        )
        suggestion = None
        if not documents and query.words is not None and query.after is None:
            suggestion = await _suggest(tx, query, by)
    return SearchResult(listed, suggestion), names.result()


async def search_all(node: Node, words: str, types: Sequence[str], of_each: int, *, by: Caller) -> AllFound:
    """The best matches of each of these types. ``words``: as ``search_words`` has read them.

    Where nothing is found, similar words that find something.
    """
    async with node.store.read() as tx:
        found, is_cut = await tx.records.search_all(words, types, of_each, visible_to=by)
        suggestion = None
        if not found and (similar := await _similar(tx, words)) is not None:
            again, _ = await tx.records.search_all(similar, types, 1, visible_to=by)
            suggestion = similar if again else None
    return AllFound(found, is_cut, suggestion)


async def _suggest(tx: Reading, query: Query, by: Caller) -> str | None:
    """The words of a search with the most similar ones that records have in place of unknown ones.

    None unless they find a record that the caller may see: words of other records are not told.
    """
    words = await _similar(tx, query.words or "")
    if words is None:
        return None
    corrected = msgspec.structs.replace(query, words=words, limit=1, total=False)
    return words if (await tx.records.search(corrected, visible_to=by)).documents else None


async def _similar(tx: Reading, words: str) -> str | None:
    """The words with similar ones in place of unknown ones; None where there are none."""
    unknown = correctable_words(words)
    similar = await tx.search_index.similar_words([word.plain for word in unknown], LEAST_SIMILARITY)
    if not similar:
        return None
    for index in sorted(similar, reverse=True):
        word = unknown[index]
        words = words[: word.start] + similar[index] + words[word.end :]
    for meant in set(similar.values()):  # two words may be meant for one: "france connect"
        words = re.sub(rf"\b{meant}(?: {meant}\b)+", meant, words)
    return words
