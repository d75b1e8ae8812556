"""The commands of the audit trail: ``federation audit --help``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.audit import AuditEntry
from federation.domain.audit_chain import FAULTS, Verdict
from federation.domain.errors import CommandFailed
from federation.node import audit as node_audit


@click.group()
def audit() -> None:
    """The audit trail: who did what to this node, and whether that was altered."""


@audit.command("list")
@click.option("--after", default=0, show_default=True, help="Number of an entry: those after it.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="At most.")
@json_option
@command
async def audit_list(after: int, limit: int, as_json: bool) -> None:
    """List entries, oldest first."""
    async with node_here() as node, node.store.read() as tx:
        rows = await tx.audit.page(after, limit)
    try:
        entries = [msgspec.json.decode(row.entry, type=AuditEntry) for row in rows]
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise CommandFailed("an entry cannot be read; federation audit verify says which") from None

    def text() -> None:
        for entry in entries:
            detail = "  ".join(f"{name}={value}" for name, value in entry.detail.items())
            click.echo(
                f"{entry.n}  {entry.at}  {entry.event}  {entry.subject}  by {entry.actor}  {detail}".rstrip()
            )

    print_result(entries, as_json, text)


@audit.command("verify")
@click.option(
    "--checkpoint",
    "elsewhere_checkpoints",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of checkpoints kept elsewhere, one a line: the trail is held against these, too.",
)
@json_option
@command
async def audit_verify(elsewhere_checkpoints: Path | None, as_json: bool) -> None:
    """Hold the trail against its hashes and checkpoints; exit 1 where it was altered.

    The first entry at fault is named, and what is wrong with it. Entries after the last checkpoint are
    counted: who can write to the database could alter those unseen. Who can write to it and has the
    private key, which is in it, can forge the checkpoints as well. Only one that is kept elsewhere
    (`audit checkpoint`) shows that.
    """
    elsewhere = _lines(elsewhere_checkpoints) if elsewhere_checkpoints is not None else ()
    async with node_here() as node:
        verdict = await node_audit.verify_audit_trail(node, elsewhere=elsewhere)
    print_result(verdict, as_json, lambda: _tell(verdict))
    if verdict.fault is not None:
        sys.exit(1)


def _tell(verdict: Verdict) -> None:
    until = f", the last one of {verdict.last_at}" if verdict.last_at else ""
    click.echo(f"{verdict.entries} entries hold{until}; {verdict.checkpoints} checkpoints hold")
    if verdict.fault is None:
        click.echo(f"{verdict.after_checkpoint} entries came after the last checkpoint")
    else:
        fault = verdict.fault
        click.echo(f"at fault: entry {fault.n}: {fault.what}: {fault.detail}. {FAULTS[fault.what]}", err=True)


def _lines(file: Path) -> tuple[str, ...]:
    """The checkpoints of a file. Raises Broken when there is none: it would seem to have been checked."""
    try:
        lines = tuple(line.strip() for line in file.read_text().splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{file} cannot be read: {error}") from None
    if not lines:
        raise CommandFailed(f"there is no checkpoint in {file}")
    return lines


@audit.command("checkpoint")
@json_option
@command
async def audit_checkpoint(as_json: bool) -> None:
    """Print a checkpoint over all entries there are, to be kept on another machine.

    It is one line, signed by the node (JWS): the number of the last entry, its hash, and when. Refused
    when the trail does not follow from the checkpoint before.
    """
    async with node_here() as node:
        last = await node_audit.sign_audit_checkpoint(node)
    if last is None:
        raise CommandFailed("nothing has been noted yet")
    print_result({"n": last.n, "jws": last.jws}, as_json, lambda: click.echo(last.jws))
