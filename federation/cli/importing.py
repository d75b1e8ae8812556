"""The commands that bring advisories in: ``federation import --help``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from federation import importing
from federation.cli.console import command, json_option, node_here, told
from federation.domain.advisories.finding import MAX_ADVISORY
from federation.domain.errors import Broken
from federation.domain.visibility import TLPS, Tlp, itself

MOST_FILES = 100_000
"""Files of one import, at most."""


@click.group("import")
def import_() -> None:
    """Publish advisories of others as incidents of yours: CVE, OSV, CSAF."""


def _of_form(form: str, what: str) -> None:
    @import_.command(form, help=f"{what}\n\n{_HELP}")
    @click.argument(
        "files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True, path_type=Path)
    )
    @click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")
    @click.option(
        "--solution", "solutions", multiple=True, metavar="ORIGIN/KEY",
        help="What the advisories are about, when they do not say it in known words; repeatable.",
    )  # fmt: skip
    @click.option("--tlp", type=click.Choice(TLPS), help="Label of new incidents; GREEN when not given.")
    @click.option("--audience", help="For AMBER: the group of operators that may see them.")
    @click.option(
        "--verbose", is_flag=True, help="List also what was unchanged, and what was given a default."
    )
    @json_option
    @command
    async def run(
        files: tuple[Path, ...],
        dry_run: bool,
        solutions: tuple[str, ...],
        tlp: Tlp | None,
        audience: str | None,
        verbose: bool,
        as_json: bool,
    ) -> None:
        advisories = list(_advisories(files))
        lines: list[importing.ImportLine] = []
        async with node_here() as node:
            known = await importing.catalogue(node, solutions)
            # The bar is for people who wait: on a terminal, and on standard error.
            with click.progressbar(
                advisories, label="advisories", file=sys.stderr, hidden=not sys.stderr.isatty()
            ) as bar:
                for source, raw in bar:
                    lines += await importing.take(
                        node, form, raw, known, source=source, by=itself(node.operator),
                        tlp=tlp, audience=audience, dry_run=dry_run,
                    )  # fmt: skip
        found = importing.report(lines, dry_run=dry_run)
        told(found, as_json, lambda: _show(found, verbose=verbose))
        if found.summary.refused:
            sys.exit(1)


_HELP = """FILES are files, directories (every .json and .jsonl file below them) or - for standard input; each
holds one advisory, or one a line. An incident has the advisory's id as its key: importing again changes
nothing, and a newer advisory revises it. Advisories about solutions that are not known here are skipped. The
exit status is 1 when one was refused."""


def _advisories(files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Each advisory with where it is from. Raises Broken for what cannot be read."""
    for count, path in enumerate(_paths(files)):
        if count >= MOST_FILES:
            raise Broken(f"more than {MOST_FILES} files are named")
        try:
            raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        except OSError as error:
            raise Broken(f"{path} cannot be read: {error.strerror}") from None
        name = "standard input" if str(path) == "-" else str(path)
        lines = [line for line in raw.splitlines() if line.strip()]
        if path.suffix == ".jsonl" or _is_lines(lines):
            for number, line in enumerate(lines, 1):
                yield f"{name}:{number}", line
        elif len(raw) > MAX_ADVISORY:
            yield name, raw[: MAX_ADVISORY + 1]  # refused with its reason
        else:
            yield name, raw


def _is_lines(lines: list[bytes]) -> bool:
    """Whether these are several JSON objects, one a line."""
    return len(lines) > 1 and all(line.startswith(b"{") and line.rstrip().endswith(b"}") for line in lines)


def _paths(files: Iterable[Path]) -> Iterator[Path]:
    for path in files:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in (".json", ".jsonl") and p.is_file())
        else:
            yield path


def _show(found: importing.ImportReport, *, verbose: bool) -> None:
    for line in found.advisories:
        if line.outcome in ("unchanged", "skipped") and not verbose:
            continue
        words = f"  {line.as_text} ranges kept as text" if line.as_text else ""
        click.echo(f"{line.outcome}  {line.id or line.source}  {line.detail or line.incident or ''}{words}")
        for note in line.defaulted if verbose else ():
            click.echo(f"    {note}")
    summary = found.summary
    would = "would be " if found.dry_run else ""
    click.echo(
        f"{would}published {summary.published}, revised {summary.revised}, unchanged {summary.unchanged},"
        f" skipped {summary.skipped}, refused {summary.refused}"
    )
    if not verbose:
        defaults = Counter(note.split(":")[0] for line in found.advisories for note in line.defaulted)
        for member, number in sorted(defaults.items()):
            click.echo(f"    {member}: not told by {number} of them (--verbose lists which)")


_of_form("cve", "CVE records, format 5.x.")
_of_form("osv", "OSV advisories, schema 1.x.")
_of_form("csaf", "CSAF 2.0 documents: advisories and VEX.")
