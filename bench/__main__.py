"""The command line of the benchmark."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from bench import exposure, growth, importing, products, reading, sync, waiting, web, writing
from bench.report import written
from bench.run import Run

PARTS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "sync": sync.measure,
    "reading": reading.measure,
    "writing": writing.measure,
    "growth": growth.measure,
    "exposure": exposure.measure,
    "importing": importing.measure,
    "crowd": waiting.measure,
    "web": web.measure,
    "products": products.measure,
}
HERE = Path(__file__).parent.parent


@click.command()
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(tuple(PARTS)), help="Only this part; may be repeated."
)
@click.option("--quick", is_flag=True, help="A small run of a few minutes that exercises everything.")
@click.option("--records", type=click.IntRange(1_000, 1_000_000), help="Of a first sync and a bulk upload.")
@click.option(
    "--size", "sizes", multiple=True, type=click.IntRange(100, 10_000_000),
    help="Of the table that grows, smallest first (10 000, 100 000, 1 000 000).",
)  # fmt: skip
@click.option("--repetitions", type=click.IntRange(1, 50), help="Turns that everything takes.")
@click.option("--seconds", type=click.FloatRange(0.2, 60), help="How long each load lasts.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the figures are written (docs/benchmarks; of a quick or partial run build/bench).",
)
def main(
    parts: tuple[str, ...],
    quick: bool,
    records: int | None,
    sizes: tuple[int, ...],
    repetitions: int | None,
    seconds: float | None,
    output: Path | None,
) -> None:
    """Measure the node beside its limits and beside what one would pick instead, in one run.

    Everything runs on this machine: databases in a temporary directory, servers on the loopback interface.
    Run it on a quiet machine; how noisy it was is told with the figures.
    """
    directory = Path(tempfile.mkdtemp(prefix="federation-bench-"))
    directory.chmod(0o755)  # PostgreSQL may run as another account
    run = Run(
        directory=directory,
        records=records or (10_000 if quick else 100_000),
        repetitions=repetitions or (2 if quick else 5),
        seconds=seconds or (0.7 if quick else 2.0),
        singles=40 if quick else 200,
        quick=quick,
        sizes=sizes,
    )
    try:
        asyncio.run(_measure(run, parts or tuple(PARTS)))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    whole = not quick and not parts
    for path in written(run, output or HERE / ("docs/benchmarks" if whole else "build/bench")):
        run.tell(f"wrote {path}")
    click.echo(f"\nHow noisy it was: {run.noise.told()}.")


async def _measure(run: Run, parts: tuple[str, ...]) -> None:
    for part in parts:
        await PARTS[part](run)


if __name__ == "__main__":
    main()
