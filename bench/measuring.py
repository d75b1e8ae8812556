"""What was measured: series of numbers from turns, ratios within a turn, and how noisy the machine was."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Sequence
from typing import Literal

import msgspec

Better = Literal["more", "less"]


class Spread(msgspec.Struct, frozen=True):
    """A series in three numbers."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


class Series(msgspec.Struct, frozen=True):
    """One contender: what it is called, and its number in each turn."""

    name: str
    values: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        return Spread.of(self.values)


class Goal(msgspec.Struct, frozen=True):
    """What is to be reached: of a ratio at least, of a figure without one at most."""

    least_ratio: float | None = None
    aim: float | None = None
    most: float | None = None


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table: the node, what stands beside it, and the goal."""

    part: str
    work: str
    unit: str
    better: Better
    node: Series
    beside: tuple[Series, ...] = ()
    goal: Goal | None = None
    """Holds beside the first of ``beside``."""
    note: str = ""

    def ratio(self, other: Series) -> Spread:
        """The node as a multiple of another one, turn by turn; above 1 the node is the better one."""
        pairs = zip(self.node.values, other.values, strict=True)
        if self.better == "more":
            return Spread.of([mine / theirs for mine, theirs in pairs])
        return Spread.of([theirs / mine for mine, theirs in pairs])

    @property
    def reached(self) -> bool | None:
        """Whether the median keeps the goal; None where there is none."""
        if self.goal is None:
            return None
        if self.goal.least_ratio is not None:
            return self.ratio(self.beside[0]).median >= self.goal.least_ratio
        return self.goal.most is None or self.node.spread.median <= self.goal.most


class Noise:
    """A fixed piece of work, done between turns: on a quiet machine it always takes the same time."""

    ROUNDS = 40
    _BLOCK = bytes(1_048_576)

    def __init__(self) -> None:
        self.milliseconds: list[float] = []

    def probe(self) -> None:
        began = time.perf_counter()
        for _ in range(self.ROUNDS):
            hashlib.sha256(self._BLOCK).digest()
        self.milliseconds.append((time.perf_counter() - began) * 1_000)

    def told(self) -> str:
        """How noisy it was, in a sentence."""
        if len(self.milliseconds) < 4:
            return "too short a run to say how noisy the machine was"
        low, middle, high = statistics.quantiles(self.milliseconds, n=4)
        slowest = max(self.milliseconds) / min(self.milliseconds)
        return (
            f"the same work, done {len(self.milliseconds)} times between turns, took {middle:.0f} ms in the"
            f" median; half of the times within {low:.0f} to {high:.0f} ms; the slowest took"
            f" {slowest:.2f} times as long as the quickest"
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share (0 to 1) of them lies."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
