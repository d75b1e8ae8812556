"""The commands of sources: ``federation source --help``, and the import of one file."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.canonical import decode_json
from federation.domain.draft import read_draft
from federation.domain.errors import CommandFailed, Invalid
from federation.domain.sources.kinds import KINDS
from federation.domain.sources.report import RunReport
from federation.domain.sources.source import ImportSource, SourceChange, SourceSettings
from federation.domain.visibility import TLPS, Tlp, itself
from federation.node import imports, source_runs, sources
from federation.node.imports import FileImport

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_INTERVAL = re.compile(r"([1-9][0-9]{0,6})([smhd])")
MAX_LINES_SHOWN = 100
"""Lines of a report that are printed; with --json all of them are."""
KIND_LIST = "\n".join(f"  {name:<14} {kind.about}" for name, kind in KINDS.items())


class _Interval(click.ParamType[int]):
    name = "interval"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        form = _INTERVAL.fullmatch(value)
        if form is None:
            self.fail(f"{value!r} is no interval, such as 30m, 6h or 1d", param, context)
        return int(form[1]) * _UNITS[form[2]]


@click.group()
def source() -> None:
    """Sources of records: spreadsheets, catalogues, monitoring, advisories of others."""


@source.command("add", epilog=f"\b\nKinds:\n{KIND_LIST}")
@click.argument("kind", type=click.Choice(tuple(KINDS)), metavar="KIND")
@click.argument("url", required=False)
@click.option("--name", help="Its name; without it the kind.")
@click.option("--every", type=_Interval(), metavar="6h", help="The time between two runs: 30m, 6h, 1d.")
@click.option("--options", metavar="JSON", help="Options of the kind, such as the meaning of columns.")
@click.option("--tlp", type=click.Choice(TLPS), help="Label of its records: none gets a wider one.")
@click.option("--audience", help="For AMBER: the group of operators that may see them.")
@click.option("--private", is_flag=True, help="Its address may be one that is not public.")
@json_option
@command
async def source_add(
    kind: str,
    url: str | None,
    name: str | None,
    every: int | None,
    options: str | None,
    tlp: Tlp | None,
    audience: str | None,
    private: bool,
    as_json: bool,
) -> None:
    """Add a source of records of a KIND. With a URL it is polled; else files are uploaded or events pushed.

    The secret of a source that is pushed to is printed this once.
    """
    values: dict[str, Any] = {
        "name": name or kind, "kind": kind, "url": url, "every": every, "tlp": tlp, "audience": audience,
    }  # fmt: skip
    named = {key: value for key, value in values.items() if value is not None}
    named |= {"private": private, "options": _read_options(options) or {}}
    new: SourceSettings = read_draft(msgspec.json.encode(named), SourceSettings)
    async with node_here() as node:
        added = await sources.add(node, new, by=itself(node.operator))

    def text() -> None:
        click.echo(f"the source {added.name} is added")
        if added.secret is not None:
            click.echo(f"push to {node.url}/v1/sources/{added.name}/events with the secret {added.secret}")

    print_result(added, as_json, text)


@source.command("list")
@json_option
@command
async def source_list(as_json: bool) -> None:
    """List the sources, their last runs and the next ones."""
    async with node_here() as node:
        found = await sources.all(node)

    def text() -> None:
        for stored in found:
            _show_source(stored)
        if not found:
            click.echo("there are no sources")

    print_result(found, as_json, text)


@source.command("show")
@click.argument("name")
@click.option(
    "--run", "number", type=int, help="Show the report of this run; without it that of the last one."
)
@json_option
@command
async def source_show(name: str, number: int | None, as_json: bool) -> None:
    """Show a source NAME, the report of a run, and the records that it no longer gives."""
    async with node_here() as node:
        stored = await sources.find(node, name)
        reports = await sources.runs(node, name)
        report = await sources.find_run(node, name, number) if number is not None else None
        report = report or (reports[0] if reports else None)
        missing = await sources.disappeared(node, name)

    def text() -> None:
        _show_source(stored)
        for item in missing[:MAX_LINES_SHOWN]:
            click.echo(f"  no longer given since {item.since:%Y-%m-%d}: {item.type} {item.key}")
        if report is not None:
            _show_report(report)

    print_result({"source": stored, "run": report, "disappeared": missing}, as_json, text)


@source.command("run")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Report what would be done, and change nothing.")
@json_option
@command
async def source_run(name: str, dry_run: bool, as_json: bool) -> None:
    """Run the polled source NAME now, and report; exit 1 if it failed."""
    async with node_here() as node:
        report = await source_runs.run_now(node, name, by=itself(node.operator), dry_run=dry_run)
    print_result(report, as_json, lambda: _show_report(report))
    if report.outcome == "failed":
        sys.exit(1)


async def _change(name: str, change: SourceChange, as_json: bool) -> None:
    async with node_here() as node:
        changed = await sources.change(node, name, change, by=itself(node.operator))
    print_result(changed, as_json, lambda: _show_source(changed))


@source.command("pause")
@click.argument("name")
@json_option
@command
async def source_pause(name: str, as_json: bool) -> None:
    """Pause the source NAME: it is not run until it is resumed."""
    await _change(name, SourceChange(state="paused"), as_json)


@source.command("resume")
@click.argument("name")
@click.option("--every", type=_Interval(), metavar="6h", help="Another time between two runs.")
@json_option
@command
async def source_resume(name: str, every: int | None, as_json: bool) -> None:
    """Resume the source NAME; the node that serves runs it at once."""
    await _change(name, SourceChange(state="active", every=every), as_json)


@source.command("secret")
@click.argument("name")
@json_option
@command
async def source_secret(name: str, as_json: bool) -> None:
    """Give the source NAME, which is pushed to, another secret; the former one ends at once."""
    async with node_here() as node:
        changed = await sources.new_source_secret(node, name, by=itself(node.operator))
    print_result(changed, as_json, lambda: click.echo(changed.secret))


@source.command("remove")
@click.argument("name")
@json_option
@command
async def source_remove(name: str, as_json: bool) -> None:
    """Remove the source NAME and the reports of its runs. Its records stay."""
    async with node_here() as node:
        await sources.remove(node, name, by=itself(node.operator))
    print_result({"name": name, "removed": True}, as_json, lambda: click.echo(f"{name} is removed"))


@click.command("file")
@click.argument("file", type=click.Path(exists=True, allow_dash=True, dir_okay=False, path_type=Path))
@click.option("--as", "kind", type=click.Choice(tuple(KINDS)), help="The kind of the file.")
@click.option("--source", "name", help="The source that the file is of.")
@click.option("--options", metavar="JSON", help="Options of the kind, such as the meaning of columns.")
@click.option("--tlp", type=click.Choice(TLPS), help="Label of new records, never wider than the source's.")
@click.option("--audience", help="For AMBER: the group of operators that may see them.")
@click.option("--dry-run", is_flag=True, help="Report what would be done, and change nothing.")
@click.option(
    "--replace", is_flag=True, help="Retract the records of the source that the file no longer has."
)
@click.option("--digest", help="With --replace: the digest that its dry run has printed.")
@json_option
@command
async def import_file(
    file: Path,
    kind: str | None,
    name: str | None,
    options: str | None,
    tlp: Tlp | None,
    audience: str | None,
    dry_run: bool,
    replace: bool,
    digest: str | None,
    as_json: bool,
) -> None:
    """Import FILE, or - for standard input: its records are published or revised, each is reported.

    Members that a person changed since stay. The exit status is 1 when a record was rejected.
    """
    asked = FileImport(
        source=name,
        kind=kind,
        options=_read_options(options),
        tlp=tlp,
        audience=audience,
        dry_run=dry_run,
        replaces=replace,
        digest=digest,
    )
    raw = _read_file(file)
    async with node_here() as node:
        report = await imports.import_file(node, raw, asked, by=itself(node.operator))
    print_result(report, as_json, lambda: _show_report(report))
    if report.counts.rejected:
        sys.exit(1)


def _read_file(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from None


def _read_options(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value = decode_json(text.encode())
    if not isinstance(value, dict):
        raise Invalid("options is a JSON object", pointer="/options", fault="wrong-type")
    return value


def _show_source(stored: ImportSource) -> None:
    where = stored.url or ("pushed to" if stored.has_secret else "uploaded")
    click.echo(f"{stored.name}  {stored.kind}  {where}  {stored.state}  {stored.records} records")
    if stored.disappeared:
        click.echo(f"    {stored.disappeared} records are no longer in it")
    if stored.reason is not None:
        click.echo(f"    failing since {stored.failing_since:%Y-%m-%d %H:%M} UTC: {stored.reason}")
    if stored.last_success_at is not None:
        click.echo(f"    last success {stored.last_success_at:%Y-%m-%d %H:%M} UTC")
    if stored.next_at is not None:
        click.echo(f"    next run {stored.next_at:%Y-%m-%d %H:%M} UTC")


def _show_report(report: RunReport) -> None:
    if report.outcome == "failed":
        click.echo(f"failed: {report.reason}")
        return
    for line in report.lines[:MAX_LINES_SHOWN]:
        notes = [*line.reasons, *_named("a person changed", line.person), *_named("default", line.defaulted)]
        click.echo(f"{line.outcome}  {line.place}  {line.type} {line.key}  {'; '.join(notes)}".rstrip())
    hidden = report.omitted + max(len(report.lines) - MAX_LINES_SHOWN, 0)
    if hidden:
        click.echo(f"and {hidden} more")
    for removal in report.removals:
        pauses = ", and peers would pause until they confirm" if removal.pauses else ""
        click.echo(f"{removal.removed} of {removal.live} records would leave {removal.audience}{pauses}")
    counts = ", ".join(f"{number} {name}" for name, number in msgspec.structs.asdict(report.counts).items())
    click.echo(f"{'dry run: ' if report.dry_run else ''}{counts}")
    if report.dry_run and report.digest:
        click.echo(f"digest {report.digest}")


def _named(what: str, members: Sequence[str]) -> list[str]:
    return [f"{what}: {', '.join(member or 'the whole record' for member in members)}"] if members else []
