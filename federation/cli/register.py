"""The commands that show the register of communes: ``federation register --help``. They need no node."""

from __future__ import annotations

from pathlib import Path

import click

from federation.cli.console import fail, print_result
from federation.domain.errors import CommandFailed
from federation.domain.territories import lookup

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@_JSON
@click.pass_context
def register(context: click.Context, as_json: bool) -> None:
    """Show the register of communes and their groupings that coverage is counted with: its version."""
    if context.invoked_subcommand is not None:
        return
    found = lookup.this_edition()
    print_result(
        found,
        as_json,
        lambda: click.echo(
            f"{found.source} {found.version}, boundaries of {found.boundaries}, edition {found.edition}\n"
            f"{found.communes} communes, {found.epci} groupings (EPCI),"
            f" {found.other_codes} other INSEE codes that are known as a commune of today"
        ),
    )


@register.command()
@click.argument("number")
@_JSON
def show(number: str, as_json: bool) -> None:
    """Show the bodies that NUMBER names: an INSEE code, a SIREN, a SIRET or a postcode.

    A code of five characters may be both an INSEE code and a postcode, and a postcode is that of several
    communes: all of them are shown. Exit 1 if there is none.
    """
    found = lookup.find(number)
    if not found and not as_json:
        fail(f"the register has no body with the number {number[:40]!r}")
    print_result(found, as_json, lambda: click.echo("\n".join(map(_line, found))))


@register.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@_JSON
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Show what changed from the file OLD of the register to NEW.

    The files are `communes.tsv.gz` of two versions of this program, in `federation/domain/territories`,
    compressed or not.
    """
    try:
        before, after = (lookup.read_bodies(file.read_bytes(), file.name) for file in (old, new))
    except CommandFailed as error:
        fail(str(error))
    compared = lookup.compare(before, after)
    lines = [*map(_change, compared.changes), f"{compared.populations} populations differ"]
    print_result(compared, as_json, lambda: click.echo("\n".join(lines)))


def _line(found: lookup.Found) -> str:
    body = found.body
    part = f" ({found.part} {found.part_name or 'code'} is known as it)" if found.part else ""
    groupings = " ".join(siren for siren in (body.epci, body.ept) if siren)
    return "\t".join(
        (
            found.by,
            body.cog or "-",
            body.siren or "-",
            body.name + part,
            str(body.population),
            body.departement,
            groupings or "-",
            " ".join(found.postcodes) or "-",
        )
    )


def _change(change: lookup.Change) -> str:
    body = f"{change.kind} {change.code} {change.name}"
    if change.before is None:
        return f"+ {body}"
    if change.after is None:
        return f"- {body}"
    members = (
        f"{name} {change.before[name] or '-'} -> {after or '-'}" for name, after in change.after.items()
    )
    return f"~ {body}: {', '.join(members)}"
