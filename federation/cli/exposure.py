"""The command that shows the exposure to an incident: ``federation exposure --help``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.exposure.answers import (
    AffectedCoverage,
    Because,
    CopyAge,
    IncidentExposure,
    IncidentSummary,
    OperatorExposure,
    OwnExposure,
)
from federation.domain.exposure.linkage import LinkedSolution
from federation.domain.exposure.reasons import REASONS
from federation.domain.feed import printable
from federation.domain.visibility import itself
from federation.node import exposure, exposure_index
from federation.node.node import Node

COLUMNS = ("operator", "answer", "affected", "unknown", "cleared", "communes", "inhabitants", "copy")


@click.command("exposure")
@click.argument("what", default="")
@click.option(
    "--bodies", is_flag=True, help="List the communes and groupings that are affected: whom to call."
)
@json_option
@command
async def exposure_of(what: str, bodies: bool, as_json: bool) -> None:
    """Show who is affected by an incident, who has answered, and how fresh each part is.

    WHAT is an identifier such as CVE-2025-24799, or the incident's id, arnia/2026-0042. Without it: the open
    incidents that affect your own deployments.
    """
    # The refresher of a process that serves does not hear this one: it brings its own.
    async with node_here() as node, exposure_index.running(node):
        by = itself(node.operator)
        if not what:
            own, _ = await exposure.of_own(node, by=by, limit=500)
            print_result(own, as_json, lambda: _show_own(own))
            return
        origin, key = await exposure.find(node, what, by=by)
        if bodies:
            affected, through = await exposure.bodies_of_incident(node, origin, key, by=by)
            print_result(
                {"current_through": through, "bodies": affected},
                as_json,
                lambda: click.echo(
                    "\n".join(
                        f"{b.cog or b.siren}\t{b.name}\t{b.population}\t{b.departement}" for b in affected
                    )
                ),
            )
            return
        answer = await exposure.of_incident(node, origin, key, by=by)
    print_result(answer, as_json, lambda: _show(answer, node))


def _show(answer: IncidentExposure, node: Node) -> None:
    incident = answer.incident
    over = ", overdue" if incident.overdue else "" if answer.open else ", over"
    click.echo(f"{incident.id}: {_title(incident)} ({incident.severity}, {incident.status}{over})")
    click.echo(answer.summary["en"])
    click.echo(f"counted: all that had arrived here by {answer.current_through}")
    click.echo()
    _table([operator for operator in answer.operators if _is_concerned(operator)])
    unaffected = [operator for operator in answer.operators if not _is_concerned(operator)]
    if unaffected:
        copies = ", ".join(f"{operator.operator} ({_copy(operator.copy)})" for operator in unaffected)
        click.echo(f"\nnothing of theirs is affected, as far as their copies tell: {copies}")
    _show_linked_solutions(answer.linked_solutions, more=answer.more_linked_solutions)
    if answer.not_here:
        click.echo(f"\nnamed by the incident, and not here to be seen: {', '.join(answer.not_here)}")
    for operator in answer.operators:
        if operator.operator == node.operator:
            _show_deployments(operator)
            if operator.answer is None and _is_concerned(operator):
                key = incident.id.partition("/")[2]
                click.echo(f"\nYou have not answered: PUT /v1/statements/{node.operator}/{key}")


def _show_linked_solutions(links: Sequence[LinkedSolution], *, more: bool) -> None:
    for link in links:
        counted = "counted as" if link.certain else "perhaps"
        reasons = ", ".join(f"{named_by.solution} names {named_by.names}" for named_by in link.because)
        click.echo(f"\n{link.solution} is {counted} {link.named}: {reasons}")
    if more:
        click.echo("\nthere are more solutions that may be the same software; those are not counted")


def _show_own(own: OwnExposure) -> None:
    if not own.incidents:
        click.echo(f"no open incident affects a deployment of {own.operator}, as far as this node knows")
    for line in own.incidents:
        incident = line.incident
        answer = line.exposure.answer or "not answered"
        click.echo(f"{incident.id}: {_title(incident)} ({incident.severity}, {incident.status}); {answer}")
        _show_deployments(line.exposure)
        _show_linked_solutions(line.linked_solutions, more=False)
    if own.more_linked_solutions:
        _show_linked_solutions((), more=True)
    if own.incidents_not_understood:
        unread = "; they were not all compared with your deployments" if own.more_not_understood else ""
        number = own.incidents_not_understood
        click.echo(f"{number} incidents are not understood by this version: upgrade{unread}")


def _show_deployments(operator: OperatorExposure) -> None:
    for deployment in operator.deployments:
        version = deployment.version or "no version"
        click.echo(f"    {deployment.id}  {version}  {deployment.verdict}: {REASONS[deployment.reason].en}")
        if deployment.because is not None:
            _show_because(deployment.because)
    if operator.unconfirmed:
        click.echo(
            f"    {operator.unconfirmed} are said to be fixed,"
            " and their records still name an affected version"
        )


def _show_because(because: Because) -> None:
    if because.entry is not None:
        words = because.range or because.range_text or "no range"
        read_from = f", read from {because.source_pointer}" if because.source_pointer else ""
        click.echo(f"        by affects[{because.entry}]: {printable(words, 200)}{read_from}")
    if because.fixed_in is not None:
        click.echo(f"        the same entry names {because.fixed_in} as fixed: ask its author which is right")
    if because.settled_by is not None:
        click.echo(f"        to settle it: {because.settled_by['en']}")


def _is_concerned(operator: OperatorExposure) -> bool:
    coverages = operator.affected, operator.unknown, operator.cleared
    return bool(operator.answer or any(coverage.deployments for coverage in coverages))


def _table(operators: Sequence[OperatorExposure]) -> None:
    rows = [COLUMNS, *(_row(operator) for operator in operators)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(operator: OperatorExposure) -> tuple[str, ...]:
    return (
        operator.operator,
        operator.answer or "-",
        str(operator.affected.deployments),
        _with_reasons(operator.unknown),
        str(operator.cleared.deployments),
        f"{operator.affected.communes:,}",
        f"{operator.affected.inhabitants:,}",
        _copy(operator.copy),
    )


def _with_reasons(coverage: AffectedCoverage) -> str:
    reasons = ", ".join(f"{number} {reason}" for reason, number in coverage.reasons.items())
    return f"{coverage.deployments} ({reasons})" if reasons else "0"


def _copy(copy: CopyAge) -> str:
    return copy.state if copy.age_seconds in (None, 0) else f"{copy.state}, {_age(copy.age_seconds or 0)}"


def _age(seconds: int) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _title(incident: IncidentSummary) -> str:
    titles: Iterable[str] = (incident.title.get("en", ""), *incident.title.values())
    return next(title for title in titles if title)
