"""Names and ids that people take for each other: letters that look alike, and ids one letter apart.

A small part of the confusables of Unicode (UTS 39, section 4): the Latin, Greek and Cyrillic letters and the
digits by which the name of an operator is likely to be imitated. Two texts with one skeleton look alike.
Nobody is refused for it: the administrator looks twice, and compares the code by telephone.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

import msgspec

MIN_ID = 5
"""Ids with fewer characters are one letter apart by chance."""

_CAPITALS = str.maketrans(
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" "АВЕКМНОРСТУХІЈЅ",
    "abezhikmnoptyx" "abekmhopctyxijs",
)  # fmt: skip
"""Greek, then Cyrillic. Before small letters are made: a capital Eta is an H, a small one is like an n."""
_SMALL = str.maketrans(
    "αγεηικμνορτυχω" "авекмнорстухіјѕһԁԛԝӏь" "łøđħıſ" "015|$@",
    "ayenikuvoptuxw" "abekmhopctyxijshdqwlb" "lodhis" "olslsa",
)  # fmt: skip
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))


class Party(NamedTuple):
    """An operator as others see it: its id and its name."""

    operator: str
    name: str


class LookAlike(msgspec.Struct, frozen=True):
    """A text of a peer that looks like a text of another operator."""

    text: str
    """The peer's id or name."""
    like: str
    """The id or name that it looks like."""
    operator: str
    """The operator that has that id or name."""

    def __str__(self) -> str:
        owner = "" if self.like == self.operator else f", the name of {self.operator}"
        return f"{self.text!r} looks like {self.like!r}{owner}"


@lru_cache(4_096)
def skeleton(text: str) -> str:
    """The text without what people overlook: marks, case, hyphens, spaces, letters that look alike."""
    plain = unicodedata.normalize("NFKC", text).translate(_CAPITALS).casefold()
    letters = unicodedata.normalize("NFD", plain).translate(_SMALL)
    bare = "".join(char for char in letters if char.isalnum())
    for pair, single in _PAIRS:
        bare = bare.replace(pair, single)
    return bare.replace("i", "l")


def one_apart(first: str, second: str) -> bool:
    """True for ids that differ in one letter, or in two neighbours that are swapped.

    False for short ids, and where a digit is another digit: operators number what they have.
    """
    lengths = len(first), len(second)
    if first == second or min(lengths) < MIN_ID or max(lengths) - min(lengths) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(lengths))
    if len(first) != len(second):
        shorter, longer = sorted((first, second), key=len)
        return shorter[at:] == longer[at + 1 :]
    if first[at + 1 :] == second[at + 1 :]:
        return not (first[at].isdigit() and second[at].isdigit())
    swapped = first[at : at + 2] == second[at : at + 2][::-1]
    return swapped and first[at + 2 :] == second[at + 2 :]


def look_alikes(parties: Iterable[Party]) -> dict[str, tuple[LookAlike, ...]]:
    """The look-alikes of each operator among these, by its id; without those that have none.

    Where both the id and the name of an operator look like a text, the id counts. Ids that are one apart
    share a part, so that not every pair of four hundred has to be compared.
    """
    by_skeleton: dict[str, set[Party]] = defaultdict(set)
    by_part: dict[str, set[str]] = defaultdict(set)
    for operator, name in parties:
        for text in (operator, name):
            if drawn := skeleton(text):
                by_skeleton[drawn].add(Party(operator, text))
        for n in range(len(operator)):
            by_part[operator[:n] + operator[n + 1 :]].add(operator)
        by_part[operator].add(operator)
    pairs: dict[str, set[LookAlike]] = defaultdict(set)
    for texts in by_skeleton.values():
        for (operator, text), (rival, like) in permutations(texts, 2):
            if operator != rival and not (like != rival and Party(rival, rival) in texts):
                pairs[operator].add(LookAlike(text, like, rival))
    for operators in by_part.values():
        for operator, rival in permutations(operators, 2):
            if one_apart(operator, rival):
                pairs[operator].add(LookAlike(operator, rival, rival))
    return {operator: tuple(sorted(alikes, key=str)) for operator, alikes in pairs.items()}
