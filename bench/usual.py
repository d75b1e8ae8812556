"""To compare with: the same thing written the usual way.

Litestar with typed handlers, SQLAlchemy's ORM on its asyncio engine, the content as jsonb, structs that
are validated and encoded. No token is checked and nothing is numbered, hashed or limited.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Litestar, Request, get, put
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import DateTime, Text, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.servers import serve
from federation.domain.content.deployment import Deployment


class Base(DeclarativeBase):
    """The tables of this application."""


class DeploymentRow(Base):
    """A deployment, as an ORM entity."""

    __tablename__ = "usual"

    origin: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    revision: Mapped[int]
    solution: Mapped[str] = mapped_column(Text, index=True)
    version: Mapped[str | None] = mapped_column(Text, index=True)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)


class DeploymentOut(msgspec.Struct):
    """A deployment, as it is answered."""

    origin: str
    key: str
    revision: int
    updated_at: datetime
    content: Deployment


class DraftIn(msgspec.Struct):
    """A deployment, as it is sent."""

    content: Deployment


def _out(row: DeploymentRow) -> DeploymentOut:
    return DeploymentOut(
        row.origin, row.key, row.revision, row.updated_at, msgspec.convert(row.content, Deployment)
    )


def _session(request: Request[Any, Any, Any]) -> AsyncSession:
    made: AsyncSession = request.app.state.sessions()
    return made


@get("/health")
async def health() -> dict[str, str]:
    """Whether it is there."""
    return {}


@get("/v1/deployments/{origin:str}/{key:str}")
async def get_one(
    request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
) -> DeploymentOut:
    """Get one deployment."""
    async with _session(request) as session:
        row = await session.get(DeploymentRow, (origin, key))
        if row is None:
            raise NotFoundException
        return _out(row)


@get("/v1/deployments")
async def get_many(
    request: Request[Any, Any, Any],
    version: FromQuery[str | None] = None,
    q: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> list[DeploymentOut]:
    """List deployments, newest first."""
    chosen = select(DeploymentRow).order_by(DeploymentRow.updated_at.desc()).limit(limit)
    if version is not None:
        chosen = chosen.where(DeploymentRow.version == version)
    if q is not None:
        document = text("to_tsvector('french', content) @@ websearch_to_tsquery('french', :q)")
        chosen = chosen.where(document.bindparams(q=q))
    async with _session(request) as session:
        return [_out(row) for row in (await session.scalars(chosen)).all()]


@put("/v1/deployments/{origin:str}/{key:str}")
async def put_one(
    request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str], data: JSONBody[DraftIn]
) -> DeploymentOut:
    """Publish a deployment, or revise it."""
    content = data.content
    async with _session(request) as session, session.begin():
        row = await session.get(DeploymentRow, (origin, key), with_for_update=True)
        if row is None:
            row = DeploymentRow(origin=origin, key=key, revision=0)
            session.add(row)
        row.revision += 1
        row.solution, row.version = content.solution, content.version
        row.updated_at = datetime.now(UTC)
        row.content = msgspec.to_builtins(content)
        return _out(row)


async def _main(dsn: str, port: int) -> None:
    engine = create_async_engine(
        dsn.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=10, max_overflow=0
    )
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        yield

    app = Litestar([health, get_one, get_many, put_one], lifespan=[lifespan], openapi_config=None)
    await serve(app, port)


FILL = """
TRUNCATE usual;
INSERT INTO usual (origin, key, revision, solution, version, updated_at, content)
SELECT origin, key, revision, document -> 'content' ->> 'solution', document -> 'content' ->> 'version',
       updated_at, document -> 'content'
FROM (SELECT origin, key, revision, updated_at, convert_from(document, 'UTF8')::jsonb AS document
      FROM records WHERE type = 'deployment' AND NOT retracted) AS kept;
CREATE INDEX IF NOT EXISTS ix_usual_search ON usual USING gin (to_tsvector('french', content));
ANALYZE usual
"""
"""Has the application hold what the node in the same database holds."""


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
