"""The schema: what the migrations make is what the statements use, and whose database it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, Text

from federation.domain.errors import CommandFailed
from federation.domain.visibility import itself
from federation.node import exposure_index
from federation.store import migration, schema
from federation.store.database import open_store
from federation.store.exposure import index_edition
from federation.store.tables import metadata
from tests.domain.builders import a_deployment, a_solution
from tests.nodes import a_node, publish
from tests.store.stepwise_transactions import looking


async def differences(dsn: str, wanted: MetaData) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, wanted))

    async with migration.connect(dsn) as connection:
        return await connection.run_sync(compare)


async def test_the_migrations_make_exactly_the_tables_that_the_program_knows(fresh: str) -> None:
    await schema.migrate(fresh, "arnia")
    assert await differences(fresh, metadata) == []


def test_the_steps_are_those_of_alembic_in_its_order() -> None:
    walk = ScriptDirectory.from_config(migration.config()).walk_revisions()
    assert schema.steps() == tuple(step.revision for step in walk)[::-1]


async def test_a_table_that_the_migrations_forgot_would_be_noticed(fresh: str) -> None:
    await schema.migrate(fresh, "arnia")
    more = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        table.to_metadata(more)
    more.tables["records"].append_column(Column("forgotten", Text))
    assert [str(step[0]) for step in await differences(fresh, more)] == ["add_column"]


async def test_every_column_says_what_it_holds(fresh: str) -> None:
    await schema.migrate(fresh, "arnia")
    async with looking(fresh) as look:
        bare = await look.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name <> 'alembic_version' AND col_description("
            "   (table_schema || '.' || table_name)::regclass, ordinal_position) IS NULL"
        )
    assert bare == []


async def test_migrating_twice_changes_nothing_the_second_time(fresh: str) -> None:
    assert await schema.is_new(fresh)
    assert await schema.migrate(fresh, "arnia") == (None, schema.newest())
    async with looking(fresh) as look:
        before = await look.fetch("SELECT node::text, (SELECT array_agg(f::text) FROM feeds f) FROM node")
        assert await schema.migrate(fresh, "arnia") == (schema.newest(), schema.newest())
        assert (
            await look.fetch("SELECT node::text, (SELECT array_agg(f::text) FROM feeds f) FROM node")
            == before
        )
    assert not await schema.is_new(fresh)
    await schema.check(fresh, "arnia")


async def test_several_may_migrate_at_once(fresh: str) -> None:
    told = await asyncio.gather(*(schema.migrate(fresh, "arnia") for _ in range(4)))
    assert sorted(told, key=str) == sorted(
        [(None, schema.newest()), *[(schema.newest(), schema.newest())] * 3], key=str
    )
    async with looking(fresh) as look:
        assert await look.fetchval("SELECT count(*) FROM node") == 1
        assert await look.fetchval("SELECT count(*) FROM feeds") == 2
    await schema.check(fresh, "arnia")


async def test_a_migration_that_another_one_has_begun_is_waited_for(fresh: str) -> None:
    """By hand: the lock is held by somebody who is migrating."""
    from tests.store.stepwise_transactions import waits

    async with looking(fresh) as other, looking(fresh) as look:
        block = other.transaction()
        await block.start()
        await other.execute(f"SELECT pg_advisory_xact_lock({migration.LOCK})")
        coming = asyncio.create_task(schema.migrate(fresh, "arnia"))
        await waits(look)
        assert await look.fetchval("SELECT to_regclass('records')") is None
        await block.rollback()
        assert await coming == (None, schema.newest())


async def test_the_database_of_another_operator_is_refused_and_left_alone(fresh: str) -> None:
    await schema.migrate(fresh, "arnia")
    with pytest.raises(CommandFailed, match="belongs to the node of arnia, not of megalis"):
        await schema.migrate(fresh, "megalis")
    with pytest.raises(CommandFailed, match="belongs to the node of arnia, not of megalis"):
        await schema.check(fresh, "megalis")
    async with looking(fresh) as look:
        assert await look.fetchval("SELECT string_agg(operator, ',') FROM node") == "arnia"
        assert await look.fetchval("SELECT count(*) FROM feeds WHERE origin <> 'arnia'") == 0
    await schema.check(fresh, "arnia")


async def test_a_schema_of_a_newer_program_is_refused(fresh: str) -> None:
    await schema.migrate(fresh, "arnia")
    async with looking(fresh) as look:
        await look.execute("UPDATE alembic_version SET version_num = '9999'")
    for act in (schema.migrate, schema.check):
        with pytest.raises(CommandFailed, match="9999, which this program does not know"):
            await act(fresh, "arnia")
    async with looking(fresh) as look:
        assert await look.fetchval("SELECT version_num FROM alembic_version") == "9999"


async def test_a_schema_that_is_older_is_refused_until_it_is_migrated(
    fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandFailed, match="no schema yet; run `federation init`"):
        await schema.check(fresh, "arnia")
    with monkeypatch.context() as patch:
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
        await schema.migrate(fresh, "arnia")
    async with looking(fresh) as look:
        await look.execute(
            "INSERT INTO peers (operator, url, name, state, keys, thumbprint)"
            " VALUES ('megalis', 'https://megalis.test', 'Megalis', 'active', '{}', 'x')"
        )
        await look.execute("INSERT INTO keys (kid, jwk) VALUES ('k', '{}')")
    with pytest.raises(CommandFailed, match=f"at schema 0001, this program needs {schema.newest()}"):
        await schema.check(fresh, "arnia")
    assert await schema.migrate(fresh, "arnia") == ("0001", schema.newest())
    await schema.check(fresh, "arnia")
    async with looking(fresh) as look:
        assert await look.fetchval("SELECT state FROM peers WHERE NOT private") == "active"
        assert await look.fetchval("SELECT kid FROM keys WHERE NOT retired AND use_from <= now()") == "k"


async def test_an_upgrade_brings_in_anew_what_exposure_is_told_from(
    fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0004"))
        await schema.migrate(fresh, "arnia")
    async with looking(fresh) as look:
        await look.execute("UPDATE exposure SET arrival = 1, register = $1", index_edition())
        await look.execute("UPDATE node SET arrival = 1")
        await look.execute(
            "INSERT INTO deployed_groups (origin, audience, solution, version, version_state, in_use,"
            " deployments, counts) VALUES ('arnia', 'federation', 'arnia/glpi', '', '', true, 7, '\\x00')"
        )
    await schema.migrate(fresh, "arnia")
    async with a_node("arnia", fresh) as node:
        async with node.store.read() as tx:
            assert (await tx.exposure.index_state()).lag
        await publish(node, "solution", "glpi", a_solution(repository="https://forge.test/glpi"))
        await publish(node, "deployment", "one", a_deployment())
        await exposure_index.refresh(node)
        async with node.store.read() as tx:
            (group,) = await tx.exposure.of_solutions(["arnia/glpi"], visible_to=itself("arnia"))
            assert group.deployments == 1
            assert await tx.linkage.identifiers_of(["arnia/glpi"], visible_to=itself("arnia"))


async def test_a_server_that_is_too_old_is_refused(fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIN_POSTGRESQL_VERSION", 990_000)
        with pytest.raises(CommandFailed, match="or later is needed"):
            await schema.migrate(fresh, "arnia")
    assert await schema.is_new(fresh)
    await schema.migrate(fresh, "arnia")


async def test_a_migration_that_fails_leaves_nothing_behind(
    fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(migration, "mint_epoch", fail)
        with pytest.raises(RuntimeError):
            await schema.migrate(fresh, "arnia")
    assert await schema.is_new(fresh)
    await schema.migrate(fresh, "arnia")


async def test_the_database_is_used_in_utc_whatever_the_server_thinks(fresh: str) -> None:
    await schema.migrate(fresh, "arnia")
    async with open_store(fresh) as store, store.read() as tx:
        assert await tx.feeds._session.connection.fetchval("SHOW timezone") == "UTC"
