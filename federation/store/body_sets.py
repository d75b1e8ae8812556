"""Sets and counts of bodies as the exposure index stores them.

A body is a number: its place in the register, or below zero for a body elsewhere. A column ``bytea`` holds
numbers as 32-bit integers, a set as bits with the lowest first, counts as all numbers and then all counts.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import msgspec

from federation.domain.exposure.coverage import bits

PART_BITS = 8
"""Bits of a number that tell bodies of one part of the register apart: 256 of them."""


class CoverageSet(msgspec.Struct, frozen=True):
    """The bodies that a group covers: sets as integers (``domain/exposure/coverage.py``)."""

    tokens: int = 0
    elsewhere: int = 0

    def without(self, subtrahend: CoverageSet) -> CoverageSet:
        return CoverageSet(self.tokens & ~subtrahend.tokens, self.elsewhere & ~subtrahend.elsewhere)


def covering(numbers: Iterable[int]) -> CoverageSet:
    """The sets of these numbers."""
    listed = tuple(numbers)
    return CoverageSet(bits(n for n in listed if n >= 0), bits(~n for n in listed if n < 0))


def read_numbers(stored: bytes) -> array[int]:
    numbers = array("i")
    numbers.frombytes(stored)
    return numbers


def write_numbers(numbers: Iterable[int]) -> bytes:
    return array("i", numbers).tobytes()


def read_counts(stored: bytes) -> dict[int, int]:
    numbers = read_numbers(stored)
    half = len(numbers) // 2
    return dict(zip(numbers[:half], numbers[half:], strict=True))


def write_counts(counts: dict[int, int]) -> bytes:
    return write_numbers(counts) + write_numbers(counts.values())


def mark(stored: bytearray, number: int, *, is_in: bool) -> None:
    """Put a number into a stored set, or take it out; the set stays as short as can be."""
    if number >> 3 >= len(stored):
        stored.extend(bytes((number >> 3) + 1 - len(stored)))
    if is_in:
        stored[number >> 3] |= 1 << (number & 7)
    else:
        stored[number >> 3] &= ~(1 << (number & 7))
    while stored and not stored[-1]:
        stored.pop()
