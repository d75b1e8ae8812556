"""The addresses of the demonstration, for people first: pages, logins, then lines for programs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from federation.demo.communes import example_commune
from federation.demo.nodes import Running, administered
from federation.domain.visibility import itself
from federation.node import logins, people


async def show_addresses(nodes: Sequence[Running]) -> None:
    """Print what can be opened and tried."""
    arnia = nodes[0]
    commune = example_commune()
    click.echo("\nThe nodes stay up until Ctrl-C. Their pages, which anybody sees:")
    for node in nodes:
        click.echo(f"  {node.operator:<11} {node.settings.url}/fr")
    click.echo(
        f"\n{commune.name}, a commune of {commune.population} inhabitants: what it may join, and its price"
        " (invented)"
        f"\n  {arnia.settings.url}{page_of_commune()}"
    )
    click.echo("\nLog in as an administrator. Each link holds once, on this machine, until the nodes stop:")
    for node in nodes:
        click.echo(f"  {node.operator:<11} {await login_link(node)}")
    _show_lines(nodes)


def page_of_commune() -> str:
    """The path of the page of the commune that the demonstration shows offers for."""
    return f"/fr/bodies/cog:{example_commune().cog}"


async def login_link(node: Running) -> str:
    """A login link of an administrator, who is added for it."""
    async with administered(node) as host:
        person = await people.add(
            host, name="Camille (demonstration)", role="administrator", by=itself(node.operator)
        )
        return node.settings.url + await logins.demo_link(host, person.id)


def _show_lines(nodes: Sequence[Running]) -> None:
    """Print lines for a terminal. They call by address: not every program knows names under localhost."""
    arnia, megalis = nodes[0], nodes[1]
    base, peer = arnia.address, megalis.address
    client_id, secret = arnia.credentials
    click.echo(
        f"""
Try, in another terminal:

  curl -s '{peer}/v1/solutions?q=supervision'

  TOKEN=$(curl -s -u '{client_id}:{secret}' -d grant_type=client_credentials {base}/oauth2/token |
      sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')

  curl -s -H "Authorization: Bearer $TOKEN" '{base}/v1/incidents?severity=critical'

  curl -s -X PUT -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
       -d '{{"content":{{"name":"Mon outil","summary":{{"fr":"Essai"}},"kind":"software",
             "status":"beta","licence":"MIT","themes":["ai"]}}}}' \\
       {base}/v1/solutions/arnia/mon-outil
  curl -s {peer}/v1/solutions/arnia/mon-outil

  curl -sN -H "Authorization: Bearer $TOKEN" -H 'Accept: text/event-stream' '{base}/v1/changes'

The token holds for five minutes; then get another one with its line.
"""
    )
