"""The commands that import advisories: ``federation import --help``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.errors import CommandFailed
from federation.domain.formats.advisory import MAX_ADVISORY_BYTES
from federation.domain.visibility import TLPS, Tlp, itself
from federation.node import advisories

MAX_FILES = 100_000
"""Files of one import, at most."""


@click.group("import")
def import_() -> None:
    """Publish advisories of others as incidents of yours: CVE, OSV, CSAF."""


def _add_command(form: str, description: str) -> None:
    @import_.command(form, help=f"{description}\n\n{_HELP}")
    @click.argument(
        "files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True, path_type=Path)
    )
    @click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")
    @click.option(
        "--solution", "solutions", multiple=True, metavar="ORIGIN/KEY",
        help="What the advisories are about, when they do not say it in known words; repeatable.",
    )  # fmt: skip
    @click.option(
        "--tlp",
        type=click.Choice(TLPS),
        help="Label of new incidents, never wider than the advisory's; without it the advisory's, or GREEN.",
    )
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
        paths = list(_paths(files))
        if len(paths) > MAX_FILES:
            raise CommandFailed(f"more than {MAX_FILES} files are named")
        lines: list[advisories.ImportLine] = []
        async with node_here() as node:
            catalogue = await advisories.catalogue(node, solutions)
            # The bar is for people who wait: on a terminal, and on standard error.
            with click.progressbar(
                length=_sizes(paths), label="advisories", file=sys.stderr, hidden=not sys.stderr.isatty()
            ) as bar:
                for source, raw, size in _advisories(paths):
                    if isinstance(raw, str):
                        lines.append(advisories.ImportLine("refused", source, detail=raw))
                        continue
                    lines += await advisories.import_advisory(
                        node, form, raw, catalogue, source=source, by=itself(node.operator),
                        tlp=tlp, audience=audience, dry_run=dry_run,
                    )  # fmt: skip
                    bar.update(size)
        report = advisories.report(lines, dry_run=dry_run)
        print_result(report, as_json, lambda: _show(report, verbose=verbose))
        if report.summary.refused:
            sys.exit(1)


_HELP = """FILES are files, directories (every .json and .jsonl file below them) or - for standard input; each
holds one advisory, or one a line. An incident has the advisory's id as its key: importing again changes
nothing, and a newer advisory revises it. Advisories about solutions that are not known here are skipped. The
exit status is 1 when one was refused."""


MAX_READ_BYTES = MAX_ADVISORY_BYTES + 2
"""Bytes of a line, or of a file with one advisory, that are read: a longer one is refused anyway."""
MAX_BLANK_LINES = 1_000
"""Lines read to decide between a file with one advisory and one with an advisory a line."""


def _advisories(paths: Iterable[Path]) -> Iterator[tuple[str, bytes | str, int]]:
    """Each advisory with its source and its bytes; a text is the reason that it could not be read."""
    for path in paths:
        name = "standard input" if str(path) == "-" else str(path)
        try:
            with nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as file:
                yield from _read(file, name, lines=path.suffix == ".jsonl")
        except OSError as error:
            yield name, f"it cannot be read: {error.strerror}", 0


def _read(file: BinaryIO, name: str, *, lines: bool) -> Iterator[tuple[str, bytes, int]]:
    """The advisories of a file, one of them in memory at a time: the whole file, or one a line."""
    head: list[bytes] = []
    objects = 0
    while not lines and objects < 2 and len(head) < MAX_BLANK_LINES:
        if not (line := file.readline(MAX_READ_BYTES)):
            break
        head.append(line)
        if line.strip():
            if not _is_object(line):
                break
            objects += 1
    if not lines and objects < 2:
        content = b"".join(head)  # unchanged: its hash is stored
        content += file.read(max(MAX_READ_BYTES - len(content), 0))
        yield name, content, len(content)
        return
    pieces = chain(head, iter(partial(file.readline, MAX_READ_BYTES), b""))
    for number, line in enumerate(_cut(pieces), 1):
        if line.strip():
            yield f"{name}:{number}", line.rstrip(b"\r\n"), len(line)


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines; of a longer one than is read its beginning, which is refused."""
    is_line_start = True
    for piece in pieces:
        if is_line_start:
            yield piece
        is_line_start = piece.endswith(b"\n")


def _is_object(line: bytes) -> bool:
    """True for a line that can be a JSON object."""
    return line.startswith(b"{") and line.rstrip().endswith(b"}")


def _sizes(paths: Iterable[Path]) -> int:
    """The bytes of the files, as far as they are known."""
    sizes = 0
    for path in paths:
        with suppress(OSError):
            sizes += path.stat().st_size if str(path) != "-" else 0
    return sizes


def _paths(files: Iterable[Path]) -> Iterator[Path]:
    for path in files:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in (".json", ".jsonl") and p.is_file())
        else:
            yield path


def _show(report: advisories.ImportReport, *, verbose: bool) -> None:
    for line in report.advisories:
        if line.outcome in ("unchanged", "skipped") and not verbose:
            continue
        words = f"  {line.as_text} ranges kept as text" if line.as_text else ""
        click.echo(f"{line.outcome}  {line.id or line.source}  {line.detail or line.incident or ''}{words}")
        for note in line.defaulted if verbose else ():
            click.echo(f"    {note}")
    summary = report.summary
    would = "would be " if report.dry_run else ""
    click.echo(
        f"{would}published {summary.published}, revised {summary.revised}, unchanged {summary.unchanged},"
        f" skipped {summary.skipped}, refused {summary.refused}"
    )
    if not verbose:
        defaults = Counter(note.split(":")[0] for line in report.advisories for note in line.defaulted)
        for member, number in sorted(defaults.items()):
            click.echo(f"    {member}: not told by {number} of them (--verbose lists which)")


_add_command("cve", "CVE records, format 5.x.")
_add_command("osv", "OSV advisories, schema 1.x.")
_add_command("csaf", "CSAF 2.0 and 2.1 documents: advisories and VEX.")
