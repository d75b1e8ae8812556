"""The commands of the reporting deadlines: ``federation deadline --help``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.deadline import STEPS, CompletedStep, Regime, ReportingDeadline
from federation.domain.draft import read_draft
from federation.domain.errors import CommandFailed
from federation.domain.values import as_instant
from federation.domain.visibility import itself
from federation.node import deadlines
from federation.node.deadlines import DeadlineView


@click.group()
def deadline() -> None:
    """Reporting deadlines (NIS2, GDPR): by when an authority must have a report. In no feed."""


class _Moment(click.ParamType[str]):
    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        if value == "now":
            return as_instant(datetime.now(UTC))
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            self.fail(
                f"{value!r} is no time with its zone, such as 2026-01-30T09:30:00+01:00 or …Z", param, context
            )
        return as_instant(time)


MOMENT = _Moment()


@deadline.command("add")
@click.argument("key")
@click.option("--title", required=True, help="What became known, in a line.")
@click.option(
    "--regime", "regimes", multiple=True, required=True, type=click.Choice(get_args(Regime)),
    help="Rules under which an authority needs a report; can be repeated.",
)  # fmt: skip
@click.option(
    "--aware-at", type=MOMENT, default="now", show_default=True, metavar="TIME",
    help="When you became aware, as 2026-01-30T09:30:00+01:00.",
)  # fmt: skip
@click.option("--incident", metavar="ORIGIN/KEY", help="The incident that it is about.")
@click.option("--note", help="For yourself.")
@click.option("--dry-run", is_flag=True, help="Print by when each step would be due, and change nothing.")
@json_option
@command
async def deadline_add(
    key: str,
    title: str,
    regimes: tuple[str, ...],
    aware_at: str,
    incident: str | None,
    note: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add a deadline under a KEY of yours, and print by when each step is due."""
    values: dict[str, Any] = {
        "title": title, "regimes": list(dict.fromkeys(regimes)), "aware_at": aware_at,
        "incident": incident, "note": note,
    }  # fmt: skip
    named = {name: value for name, value in values.items() if value is not None}
    deadline: ReportingDeadline = read_draft(msgspec.json.encode(named), ReportingDeadline)
    async with node_here() as node:
        if dry_run:
            deadlines.check(node, deadline, node.operator, key)
            view = DeadlineView.of(key, deadline, node.clock())
        else:
            view = await deadlines.set_deadline(
                node, deadline, node.operator, key, by=itself(node.operator), new=True
            )
    print_result(view, as_json, lambda: _show(view))


@deadline.command("list")
@json_option
@command
async def deadline_list(as_json: bool) -> None:
    """List the deadlines and their steps, the one due next first."""
    async with node_here() as node:
        views = await deadlines.list_deadlines(node, by=itself(node.operator))

    def text() -> None:
        for view in views:
            _show(view)
        if not views:
            click.echo("there are no deadlines")

    print_result(views, as_json, text)


def _show(view: DeadlineView) -> None:
    click.echo(f"{view.key}  {view.deadline.title}  (aware {view.deadline.aware_at[:16]}Z)")
    for step in view.steps:
        state = f"done {step.done_at[:16]}Z" if step.done_at else "OVERDUE" if step.overdue else "due"
        click.echo(f"    {step.due_at[:16]}Z  {state:<23}  {step.step}: {step.rule}")


@deadline.command("done")
@click.argument("key")
@click.argument("step", type=click.Choice(tuple(STEPS)))
@click.option("--at", type=MOMENT, default="now", show_default=True, metavar="TIME", help="When it was done.")
@click.option("--reference", help="What the authority calls it.")
@json_option
@command
async def deadline_done(key: str, step: str, at: str, reference: str | None, as_json: bool) -> None:
    """Note that an authority has its report: STEP of the deadline KEY is done."""
    values = {"step": step, "at": at, **({"reference": reference} if reference is not None else {})}
    done: CompletedStep = read_draft(msgspec.json.encode(values), CompletedStep)
    async with node_here() as node:
        view = await deadlines.complete_step(node, done, node.operator, key, by=itself(node.operator))
    print_result(view, as_json, lambda: _show(view))


@deadline.command("remove")
@click.argument("key")
@command
async def deadline_remove(key: str) -> None:
    """Remove a deadline, with all that was noted of it."""
    async with node_here() as node:
        await deadlines.remove_deadline(node, node.operator, key, by=itself(node.operator))
    click.echo(f"{key} is removed")


@deadline.command("ics")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-")
@command
async def deadline_ics(file: Path) -> None:
    """Write what is due as a calendar (RFC 5545) to FILE, or to standard output."""
    async with node_here() as node:
        calendar = await deadlines.calendar(node, by=itself(node.operator))
    if str(file) == "-":
        click.echo(calendar, nl=False)
        return
    _write(file, calendar)


def _write(file: Path, calendar: bytes) -> None:
    try:
        file.write_bytes(calendar)
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}") from None
