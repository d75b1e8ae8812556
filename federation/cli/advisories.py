"""The commands that import advisories: ``federation import --help``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from federation.cli.advisory_files import read_advisories
from federation.cli.advisory_paths import find_paths, total_size
from federation.cli.console import command, json_option, node_here, print_result
from federation.cli.sources import import_file
from federation.domain.formats.report import ImportLine, OutcomeCounts
from federation.domain.visibility import TLPS, Tlp
from federation.node.advisory_archives import QUIET_OUTCOMES, ArchiveImport, ArchiveReport, ImportTally

PROGRESS_ADVISORIES = 5_000
"""Advisories after which the progress is shown, where standard error is no terminal."""
PROGRESS_STEPS = 1_000
"""Steps of the bar: to draw it takes longer than to read an advisory."""


class _Import(click.Group):
    """A group in which what is no command is the file of the command ``file``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["file", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = ["file", *args]
        return super().parse_args(ctx, args)


@click.group("import", cls=_Import)
def import_() -> None:
    """Import a file: `federation import FILE --as KIND`, or advisories of others: CVE, OSV, CSAF.

    `federation import file --help` has the options of a file, `federation source add --help` the kinds.
    """


import_.add_command(import_file)


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
        paths = find_paths(files)
        tally = ImportTally()
        async with node_here() as node:
            archive = ArchiveImport(
                node, form, solutions=solutions, tlp=tlp, audience=audience, dry_run=dry_run
            )
            await archive.begin()
            with _progress(paths) as progress:
                for file in read_advisories(paths):
                    if file.refusal:
                        found = [(ImportLine("refused", file.source, detail=file.refusal), 1)]
                    else:
                        found = await archive.add(file.source, file.raw)
                    for line, number in found:
                        tally.add(line, number)
                        if not as_json:
                            _show_line(line, verbose=verbose)
                    progress(file.size, tally)
            await archive.end()
        report = tally.report(dry_run=dry_run)
        print_result(report, as_json, lambda: _show_summary(report, tally.defaults, verbose=verbose))
        if report.summary.refused:
            sys.exit(1)


_HELP = """FILES are files, ZIP archives, directories (every .json, .jsonl, .ndjson and .zip file below them)
or - for standard input; a file holds one advisory, or one a line. An incident has the advisory's id as its
key: importing again changes nothing, and a newer advisory revises it. Advisories about solutions that are
not known here are skipped. A file that cannot be read is refused, and the next ones are imported; the exit
status is 1 when one was refused."""


@contextmanager
def _progress(paths: list[str]) -> Iterator[Callable[[int, ImportTally], None]]:
    """Shows the progress on standard error: a bar on a terminal, else a line now and then."""
    number = 0
    hidden = not sys.stderr.isatty()
    length = total_size(paths)
    with click.progressbar(
        length=length,
        update_min_steps=max(length // PROGRESS_STEPS, 1),
        label="advisories",
        file=sys.stderr,
        hidden=hidden,
    ) as bar:

        def progress(size: int, tally: ImportTally) -> None:
            nonlocal number
            number += 1
            bar.update(size)
            if hidden and number % PROGRESS_ADVISORIES == 0:
                click.echo(f"{number} advisories read: {_counts(tally.summary)}", err=True)

        yield progress


def _show_line(line: ImportLine, *, verbose: bool) -> None:
    if line.outcome in QUIET_OUTCOMES and not verbose:
        return
    words = f"  {line.as_text} ranges kept as text" if line.as_text else ""
    click.echo(f"{line.outcome}  {line.id or line.source}  {line.detail or line.incident or ''}{words}")
    for note in line.defaulted if verbose else ():
        click.echo(f"    {note}")


def _show_summary(report: ArchiveReport, defaults: Mapping[str, int], *, verbose: bool) -> None:
    would = "would be " if report.dry_run else ""
    click.echo(f"{would}{_counts(report.summary)}")
    if not verbose:
        for member, number in sorted(defaults.items()):
            click.echo(f"    {member}: not told by {number} of them (--verbose lists which)")


def _counts(summary: OutcomeCounts) -> str:
    return (
        f"published {summary.published}, revised {summary.revised}, unchanged {summary.unchanged},"
        f" skipped {summary.skipped}, refused {summary.refused}"
    )


_add_command("cve", "CVE records, format 5.x.")
_add_command("osv", "OSV advisories, schema 1.x.")
_add_command("csaf", "CSAF 2.0 and 2.1 documents: advisories and VEX.")
