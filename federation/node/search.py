"""Searches in lists: the order of a page, and similar words where nothing is found."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from federation.domain.query import Query
from federation.domain.visibility import Caller
from federation.domain.words import LEAST_SIMILARITY, correctable_words
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.lists import Listed


class SearchResult(NamedTuple):
    """A page of a search."""

    listed: Listed
    suggestion: str | None
    """Other words with which something would be found, where nothing is."""


async def search(node: Node, query: Query, *, by: Caller) -> SearchResult:
    """A page of documents. Where the words of a search find nothing, similar words that find something."""
    async with node.store.read() as tx:
        listed = await tx.records.search(query, visible_to=by)
        if listed.documents or query.words is None or query.after is not None:
            return SearchResult(listed, None)
        return SearchResult(listed, await _suggest(tx, query, by))


async def _suggest(tx: Reading, query: Query, by: Caller) -> str | None:
    """The words of a search with the most similar ones that records have in place of unknown ones.

    None unless they find a record that the caller may see: words of other records are not told.
    """
    words = query.words or ""
    unknown = correctable_words(words)
    similar = await tx.search_index.similar_words([word.plain for word in unknown], LEAST_SIMILARITY)
    if not similar:
        return None
    for index in sorted(similar, reverse=True):
        word = unknown[index]
        words = words[: word.start] + similar[index] + words[word.end :]
    for meant in set(similar.values()):  # two words may be meant for one: "france connect"
        words = re.sub(rf"\b{meant}(?: {meant}\b)+", meant, words)
    corrected = msgspec.structs.replace(query, words=words, limit=1, total=False)
    return words if (await tx.records.search(corrected, visible_to=by)).documents else None
