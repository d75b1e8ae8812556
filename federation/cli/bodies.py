"""The commands about public bodies and what they may join: ``federation body --help``."""

from __future__ import annotations

from typing import Any

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.content.tariff import BODY_KINDS
from federation.domain.feed import printable
from federation.domain.offers.answers import BodyOffers, OfferAnswer, Price
from federation.domain.offers.joining import in_language
from federation.domain.territories.finder import MAX_BODIES, BodyMatch, find_bodies
from federation.domain.visibility import anonymous, itself
from federation.node import offers
from federation.node.offers import GivenFacts

_COUNT = click.IntRange(0, offers.MAX_NUMBER)


@click.group()
def body() -> None:
    """Find public bodies, and what they may join at which price."""


@body.command()
@click.argument("question")
@json_option
def find(question: str, as_json: bool) -> None:
    """Find bodies by name, postcode, INSEE code, SIREN or SIRET. Needs no node.

    QUESTION may have the number of a département, as in "saint-denis 93".
    """
    matches = find_bodies(question, MAX_BODIES)

    def show() -> None:
        click.echo("\n".join(map(_match, matches.bodies)) or "the register has no such body")
        if matches.total > len(matches.bodies):
            click.echo(f"and {matches.total - len(matches.bodies)} more: add the number of a département")

    print_result(matches, as_json, show)


@body.command("offers")
@click.argument("body_id", metavar="BODY")
@click.option("--kind", type=click.Choice(BODY_KINDS), help="Kind of a body that the register does not have.")
@click.option("--departement", "departements", multiple=True, help="A département of such a body.")
@click.option("--population", type=_COUNT, help="Inhabitants, in place of those of the register.")
@click.option("--agents", type=_COUNT, help="Agents.")
@click.option("--users", type=_COUNT, help="Users of the service.")
@click.option("--gigabytes", type=_COUNT, help="Gigabytes that are stored.")
@click.option("--member-communes", type=_COUNT, help="Member communes, in place of those of the register.")
@click.option("--public", is_flag=True, help="As somebody without a token sees it: CLEAR offers alone.")
@json_option
@command
async def list_offers(
    body_id: str,
    kind: Any,
    departements: tuple[str, ...],
    public: bool,
    as_json: bool,
    **numbers: int | None,
) -> None:
    """List what BODY may join, the cheapest first: the first 50 offers of its territory.

    BODY is cog: and an INSEE code, 0002: and a SIREN, or territory: and the code of a département or région.
    """
    given = GivenFacts(kind=kind, departements=departements, **numbers)
    async with node_here() as node:
        by = anonymous(node.operator) if public else itself(node.operator)
        answer, after = await offers.of_body(node, body_id, given, by=by, with_elsewhere=False)
    print_result(answer, as_json, lambda: _show(answer, is_cut=after is not None))


def _match(match: BodyMatch) -> str:
    found = match.body
    place = found.departement or found.region
    part = f" ({printable(found.part.name or found.part.code)})" if found.part else ""
    return "\t".join(
        (
            found.id,
            f"{found.name or '-'}{part}",
            found.kind or "-",
            place.name if place else "-",
            " ".join(found.postcodes) or "-",
            str(found.population) if found.population is not None else "-",
        )
    )


def _show(answer: BodyOffers, *, is_cut: bool) -> None:
    counts = answer.counts
    click.echo(
        f"{answer.body.name or answer.body.id} ({answer.kind}): {counts.open} open, {counts.unknown} unknown,"
        f" {counts.not_open} not open, {counts.elsewhere} for other territories"
    )
    for offer in answer.offers:
        click.echo("\t".join(_columns(offer)))
    if answer.missing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in answer.missing)
        click.echo(f"these would settle more: {options}")
    if counts.not_understood:
        click.echo(f"{counts.not_understood} offers are not understood by this version, and may be open")
    if answer.incomplete:
        click.echo(f"not all offers are here of: {', '.join(answer.incomplete)}")
    if is_cut:
        click.echo("there are more offers")


def _columns(offer: OfferAnswer) -> tuple[str, ...]:
    reasons = "; ".join(reason.text["en"] for reason in offer.reasons)
    return (
        offer.id,
        offer.state,
        _price(offer.first_year),
        _price(offer.following_years),
        printable(in_language(offer.title, "en")),
        printable(reasons) or "-",
        offer.copy.state,
    )


def _price(price: Price) -> str:
    if price.total_cents is None:
        return "; ".join(text["en"] for text in price.unknown_text)
    whole, cents = divmod(price.total_cents, 100)
    vat = f" VAT {price.vat}" if price.vat else ""
    return f"{whole}.{cents:02} {price.currency or ''}{vat}".rstrip()
