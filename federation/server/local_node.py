"""The node of the settings on this machine: its database, its keys, and the objects around them.

Apart from the application, so that a command of the command line needs no HTTP server to begin with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from federation.domain.errors import CommandFailed
from federation.domain.identity import ProviderSettings
from federation.domain.peer import OwnKey
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from federation.outbound.http import trust_authorities
from federation.outbound.mail import Mailer
from federation.outbound.oidc import IdentityProvider
from federation.postgres import errors
from federation.postgres import server as postgres_server
from federation.settings.files import read_password
from federation.settings.mail_server import mail_server
from federation.settings.settings import Settings
from federation.store import schema
from federation.store.database import Store, open_store
from federation.store.engine import check_engine
from federation.sync.network import Network


@asynccontextmanager
async def database(settings: Settings, *, exclusive: bool) -> AsyncIterator[str]:
    """The DSN of the node's database: the one that is named, or the node's own PostgreSQL.

    Raises CommandFailed where the named one is a standby, or no PostgreSQL.
    """
    if settings.database_url:
        await check_engine(settings.database_url)
        yield settings.database_url
        return
    try:
        async with postgres_server.running(settings.data_dir, exclusive=exclusive) as dsn:
            yield dsn
    except errors.EmbeddedError as error:
        raise CommandFailed(str(error)) from error


def refuse_absent(settings: Settings) -> None:
    """Raises CommandFailed where no node has its data: only ``serve`` and ``init`` make one."""
    if settings.database_url is None and not postgres_server.is_there(settings.data_dir):
        raise absent(settings)


def absent(settings: Settings) -> CommandFailed:
    """The error of a command that finds no node, with the place where it looked."""
    place, variable = (
        (f"in {settings.data_dir}", "FEDERATION_DATA_DIR")
        if settings.database_url is None
        else ("in that database", "FEDERATION_DATABASE_URL")
    )
    return CommandFailed(
        f"there is no node {place} ({variable}); set the variables that `federation serve` runs with,"
        " or make a node with `federation init`"
    )


async def make_node(settings: Settings) -> tuple[bool, str]:
    """Make the node of these settings where there is none: its database and its key.

    Returns whether it was made now, and the thumbprint of its key.
    """
    async with database(settings, exclusive=False) as dsn:
        new = await schema.is_new(dsn)
        if new:
            await schema.migrate(dsn, settings.operator)
        await schema.check(dsn, settings.operator)
        async with open_store(dsn, connections=4) as store, node_of(settings, store) as node:
            return new, node.keyring.kid


@asynccontextmanager
async def node_of(settings: Settings, store: Store) -> AsyncIterator[Node]:
    """The node over an open store; its notifier runs while the block lasts."""
    async with store.write() as tx:
        keys = await tx.keys.all()
        if not keys:
            await tx.keys.lock()
            keys = await tx.keys.all()
        if not keys:
            keys = [OwnKey(jwk=mint_private_key(), use_from=datetime.now(UTC))]
            await tx.keys.add(keys[0])
        state = await tx.feeds.state()
    trust_authorities(settings.ca_file)
    keyring = Keyring(keys)
    node = Node(
        operator=settings.operator,
        url=settings.url,
        name=settings.name,
        store=store,
        keyring=keyring,
        state=state,
        outside=Network(settings.operator, keyring, _mailer(settings)),
        tombstones_days=settings.tombstones_days,
        security_contact=settings.security_contact,
        time_zone=ZoneInfo(settings.time_zone),
        texts_dir=settings.texts_dir,
        quota=settings.quota,
        alerts_an_hour=settings.alerts_an_hour,
        has_demo_links=settings.demo_links,
        identity_provider=_provider(settings),
    )
    async with node.notifier.running():
        yield node


def _provider(settings: Settings) -> IdentityProvider | None:
    if settings.oidc_issuer is None:
        return None
    return IdentityProvider(
        ProviderSettings(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id or "",
            secret_file=settings.oidc_secret_file or Path(),
            read_secret=partial(read_password, variable="FEDERATION_OIDC_SECRET_FILE"),
            scopes=settings.oidc_scopes,
            name=settings.oidc_name or urlsplit(settings.oidc_issuer).netloc,
            rules=settings.oidc_rules,
            private=settings.oidc_private,
        ),
        lambda: datetime.now(UTC),
    )


def _mailer(settings: Settings) -> Mailer | None:
    server = mail_server(settings)
    return Mailer(server) if server else None
