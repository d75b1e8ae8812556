"""The command that tells who is hit: ``federation exposure --help``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.exposure.linkage import LinkedSolution
from federation.domain.exposure.matching import REASONS
from federation.domain.exposure.totals import AffectedCoverage, CopyAge, OperatorExposure
from federation.domain.visibility import itself
from federation.node import exposure
from federation.node.node import Node

COLUMNS = ("operator", "answer", "affected", "unknown", "cleared", "communes", "inhabitants", "copy")


@click.command("exposure")
@click.argument("what", default="")
@click.option("--bodies", is_flag=True, help="List the communes and groupings that are hit: whom to call.")
@json_option
@command
async def exposure_of(what: str, bodies: bool, as_json: bool) -> None:
    """Show who is hit by an incident, who has answered, and how fresh each part is.

    WHAT is an identifier such as CVE-2025-24799, or the incident's id, arnia/2026-0042. Without it: the open
    incidents that hit your own deployments.
    """
    async with node_here() as node:
        by = itself(node.operator)
        if not what:
            own, _ = await exposure.of_own(node, by=by, limit=500)
            print_result(own, as_json, lambda: _show_own(own))
            return
        origin, key = await exposure.find(node, what, by=by)
        if bodies:
            found = await exposure.bodies_of_incident(node, origin, key, by=by)
            print_result(
                {"bodies": found},
                as_json,
                lambda: click.echo(
                    "\n".join(f"{b.cog or b.siren}\t{b.name}\t{b.population}\t{b.departement}" for b in found)
                ),
            )
            return
        one = await exposure.of_incident(node, origin, key, by=by)
    print_result(one, as_json, lambda: _show(one, node))


def _show(found: exposure.IncidentExposure, node: Node) -> None:
    incident = found.incident
    over = "" if found.open else ", over"
    click.echo(f"{incident.id}: {_title(incident)} ({incident.severity}, {incident.status}{over})")
    click.echo(found.summary["en"])
    click.echo()
    shown = [one for one in found.operators if _concerned(one)]
    _table(shown)
    silent = [one for one in found.operators if not _concerned(one)]
    if silent:
        told_so = ", ".join(f"{one.operator} ({_copy(one.copy)})" for one in silent)
        click.echo(f"\nnothing of theirs is hit, as far as their copies tell: {told_so}")
    _show_linked_solutions(found.linked_solutions, more=found.more_linked_solutions)
    if found.not_here:
        click.echo(f"\nnamed by the incident, and not here to be seen: {', '.join(found.not_here)}")
    for one in found.operators:
        if one.operator == node.operator:
            _show_deployments(one)
            if one.answer is None and _concerned(one):
                key = incident.id.partition("/")[2]
                click.echo(f"\nYou have not answered: PUT /v1/statements/{node.operator}/{key}")


def _show_linked_solutions(several: Sequence[LinkedSolution], *, more: bool) -> None:
    for one in several:
        counted = "counted as" if one.certain else "perhaps"
        why = ", ".join(f"{said.solution} names {said.names}" for said in one.because)
        click.echo(f"\n{one.solution} is {counted} {one.named}: {why}")
    if more:
        click.echo("\nthere are more solutions that may be the same software; those are not counted")


def _show_own(own: exposure.OwnExposure) -> None:
    if not own.incidents:
        click.echo(f"no open incident hits a deployment of {own.operator}, as far as this node knows")
    for line in own.incidents:
        incident = line.incident
        answer = line.exposure.answer or "not answered"
        click.echo(f"{incident.id}: {_title(incident)} ({incident.severity}, {incident.status}); {answer}")
        _show_deployments(line.exposure)
        _show_linked_solutions(line.linked_solutions, more=False)
    if own.more_linked_solutions:
        _show_linked_solutions((), more=True)


def _show_deployments(hit: OperatorExposure) -> None:
    for one in hit.deployments:
        click.echo(f"    {one.id}  {one.version or 'no version'}  {one.verdict}: {REASONS[one.reason][1]}")
    if hit.unconfirmed:
        click.echo(
            f"    {hit.unconfirmed} are said to be fixed, and their records still name a version that is hit"
        )


def _concerned(one: OperatorExposure) -> bool:
    return bool(one.answer or one.affected.deployments or one.unknown.deployments or one.cleared.deployments)


def _table(several: Sequence[OperatorExposure]) -> None:
    rows = [COLUMNS, *(_row(one) for one in several)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(one: OperatorExposure) -> tuple[str, ...]:
    return (
        one.operator,
        one.answer or "-",
        str(one.affected.deployments),
        _with_reasons(one.unknown),
        str(one.cleared.deployments),
        f"{one.affected.communes:,}",
        f"{one.affected.inhabitants:,}",
        _copy(one.copy),
    )


def _with_reasons(extent: AffectedCoverage) -> str:
    reasons = ", ".join(f"{number} {reason}" for reason, number in extent.reasons.items())
    return f"{extent.deployments} ({reasons})" if reasons else "0"


def _copy(copy: CopyAge) -> str:
    return copy.state if copy.age_seconds in (None, 0) else f"{copy.state}, {_age(copy.age_seconds or 0)}"


def _age(seconds: int) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _title(incident: exposure.IncidentSummary) -> str:
    titles: Iterable[str] = (incident.title.get("en", ""), *incident.title.values())
    return next(title for title in titles if title)
