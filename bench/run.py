"""One run of the benchmark: how large it is, what it has found so far."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from bench.measuring import Figure, Noise


class Run(msgspec.Struct, kw_only=True):
    """What the parts share."""

    directory: Path
    """Where databases and logs are while it lasts."""
    records: int
    """Of a first sync and a bulk upload."""
    repetitions: int
    seconds: float
    """Of one load."""
    singles: int
    """Records published one by one in a turn."""
    quick: bool
    noise: Noise = msgspec.field(default_factory=Noise)
    figures: list[Figure] = msgspec.field(default_factory=list)
    missing: list[str] = msgspec.field(default_factory=list)
    """What could not be measured, and why."""
    busiest: float = 0.0
    """Share of a core that the load generator used, at most."""
    began: float = msgspec.field(default_factory=time.perf_counter)

    def turns(self) -> Iterator[int]:
        """Numbers of the turns, from 1."""
        yield from range(1, self.repetitions + 1)

    def tell(self, what: str) -> None:
        """Say what is being done."""
        click.echo(f"[{time.perf_counter() - self.began:6.0f} s] {what}", err=True)

    def add(self, *figures: Figure) -> None:
        """Keep figures, and show them at once."""
        from bench.report import line

        for figure in figures:
            self.figures.append(figure)
            for told in line(figure):
                click.echo(told)
