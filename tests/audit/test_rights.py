"""With the rights of the how-to, the node can add to the trail and nobody with its role can alter it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from federation.node import audit
from federation.node.node import Node
from federation.postgres import programs
from federation.server import maintenance
from federation.store import schema
from tests.audit.audit_trail import holds, noted
from tests.domain.builders import a_group, a_solution
from tests.nodes import a_node, publish
from tests.store.stepwise_transactions import looking, until
from tests.stores import close_spare
from tests.waiting import MAX_WAIT_SECONDS

PAGE = Path(__file__).parents[2] / "docs/how-to/audit.md"


def account() -> str | None:
    """Who runs the cluster: never root. None if there is nobody."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in programs.ACCOUNTS:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


if sys.platform == "win32" or account() is None:
    pytest.skip("there is no account to run PostgreSQL as", allow_module_level=True)


class Server(NamedTuple):
    """The DSNs of three roles in one database."""

    superuser: str
    owner: str
    node: str


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    """A PostgreSQL that one can be superuser of, from the programs of the node's own."""
    binaries, version = programs.find_binaries()
    if not os.geteuid() and not programs.is_reachable(binaries / "postgres"):
        binaries = programs.copy_programs(binaries, version)
    home = Path(tempfile.mkdtemp(prefix="rights-"))
    who: dict[str, Any] = {"cwd": "/"}
    if not os.geteuid():
        entry = pwd.getpwnam(account() or "")
        who |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(home, entry.pw_uid, entry.pw_gid)
    data = home / "data"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
        check=True, capture_output=True, **who,
    )  # fmt: skip
    log = (home / "log").open("wb")
    process = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", home, "-c", "listen_addresses=", "-c", "fsync=off"],
        stdout=log, stderr=log, **who,
    )  # fmt: skip

    def dsn(role: str, database: str = "federation") -> str:
        return f"postgresql://{role}@/{database}?host={home}"

    async def ready() -> bool:
        with suppress(OSError, asyncpg.PostgresError):
            async with looking(dsn("postgres", "postgres")):
                return True
        return False

    try:
        await until(ready)
        async with looking(dsn("postgres", "postgres")) as look:
            await look.execute("CREATE ROLE federation LOGIN PASSWORD 'choose one'")
            await look.execute(
                "CREATE DATABASE federation OWNER federation ENCODING 'UTF8' TEMPLATE template0"
            )
        await schema.migrate(dsn("federation"), "arnia")
        (statements,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
        async with looking(dsn("postgres")) as look:
            await look.execute(statements)
        yield Server(dsn("postgres"), dsn("federation_owner"), dsn("federation"))
    finally:
        await close_spare(dsn("federation"))
        process.terminate()
        process.wait(MAX_WAIT_SECONDS)
        log.close()
        shutil.rmtree(home)


@pytest.fixture
async def bound(server: Server) -> AsyncIterator[Node]:
    """The node of arnia, with the rights that the page leaves to its role."""
    async with a_node("arnia", server.node) as node:
        yield node


async def test_the_node_does_all_that_it_did(bound: Node, server: Server) -> None:
    before = (await audit.verify_audit_trail(bound)).entries
    async with maintenance.running(bound):
        await publish(bound, "group", "rssi", a_group(members=["megalis"]))
        await publish(bound, "solution", "glpi", a_solution())
        await publish(bound, "solution", "glpi", a_solution(), tlp="AMBER", audience="rssi")
        await bound.store.vacuum()
        bound.refusals.count("list", "unauthenticated", "anonymous")
    found = await holds(bound, before + 5)
    assert found.after_checkpoint == 0
    await schema.check(server.node, "arnia")


@pytest.mark.parametrize("table", ["audit", "audit_checkpoints"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET n = n",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
        "DROP TABLE {table}",
        "ALTER TABLE {table} RENAME TO other",
        "ALTER TABLE {table} OWNER TO federation",
        "ALTER TABLE {table} DISABLE TRIGGER ALL",
        "CREATE RULE r AS ON INSERT TO {table} DO INSTEAD NOTHING",
        "CREATE TRIGGER t BEFORE INSERT ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT (n) DO UPDATE SET n = excluded.n",
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA federation CREATE TABLE {table} (n int)",
        "CREATE TABLE public.{table}_2 (n int)",
        "DROP DATABASE federation",
        "SET ROLE federation_owner",
        "SELECT n FROM {table} FOR UPDATE",
    ],
)
async def test_its_role_can_do_nothing_to_the_trail_but_add(
    bound: Node, server: Server, statement: str, table: str
) -> None:
    await noted(bound)
    await audit.sign_audit_checkpoint(bound)
    async with looking(server.node) as look:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await look.execute(statement.format(table=table))
        # A grant that one may not give is a warning in PostgreSQL, and nothing comes of it.
        with suppress(asyncpg.InsufficientPrivilegeError):
            await look.execute(f"GRANT UPDATE, DELETE ON {table} TO federation")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await look.execute(f"DELETE FROM {table}")
    assert (await audit.verify_audit_trail(bound)).fault is None


async def test_the_owner_can_what_the_node_cannot_and_migrates(bound: Node, server: Server) -> None:
    """The twin: it is the rights that refuse, not the statements."""
    await noted(bound)
    async with looking(server.owner) as look:
        block = look.transaction()
        await block.start()
        await look.execute("UPDATE audit SET n = n; DELETE FROM audit; TRUNCATE audit; DROP TABLE audit")
        await look.execute("ALTER TABLE records ADD COLUMN more text; CREATE TABLE later (n int)")
        assert await look.fetchval("SELECT has_table_privilege('federation', 'later', 'UPDATE')")
        await block.rollback()
    assert await schema.migrate(server.owner, "arnia") == (schema.newest(), schema.newest())
    assert (await audit.verify_audit_trail(bound)).fault is None
