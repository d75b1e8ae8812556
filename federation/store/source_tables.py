"""The tables of sources: their settings, what they gave of each record, and the reports of their runs."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from federation.store.people_tables import people
from federation.store.tables import Moment, metadata

sources = Table(
    "sources",
    metadata,
    Column("name", Text, primary_key=True, comment="As its administrator calls it."),
    Column("kind", Text, nullable=False, comment="csv, publiccode, csaf, … (domain/sources/kinds.py)."),
    Column("url", Text, comment="Where it is polled; null where files are uploaded or pushed."),
    Column("every", Integer, comment="Seconds between two runs of a polled source."),
    Column("options", LargeBinary, nullable=False, comment="JSON: how its files are read."),
    Column("tlp", Text, comment="The label of its records; null for that of the source or the type."),
    Column("audience", Text, comment="The group that may see them; of AMBER and AMBER+STRICT only."),
    Column("private", Boolean, nullable=False, comment="Whether its address may be one that is not public."),
    Column("quota", LargeBinary, nullable=False, comment="JSON: bounds that differ from the default."),
    Column("state", Text, nullable=False, server_default=text("'active'"), comment="active or paused."),
    Column("secret_hash", LargeBinary, comment="SHA-256 of the secret of a pushed source."),
    Column("etag", Text, comment="ETag of the last answer that was read whole."),
    Column("last_modified", Text, comment="Last-Modified of that answer."),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("next_at", Moment, comment="The next run; null where none is due."),
    Column("last_run_at", Moment, comment="The end of the last run."),
    Column("last_success_at", Moment, comment="The end of the last run that succeeded."),
    Column("failures", Integer, nullable=False, server_default=text("0"), comment="In a row."),
    Column("failing_since", Moment, comment="The first of these failures."),
    Column("reason", Text, comment="The reason of the last failure; null after a run that succeeded."),
    Column("memory", LargeBinary, comment="JSON: what its reader needs to know of the runs before."),
    Column("runs", BigInteger, nullable=False, server_default=text("0"), comment="Number of the last run."),
    Column("reason_fr", Text, comment="The same reason in French."),
    Index("ix_sources_next_at", "next_at"),
)

source_items = Table(
    "source_items",
    metadata,
    Column(
        "source",
        Text,
        ForeignKey("sources.name", ondelete="CASCADE"),
        primary_key=True,
        comment="The source that gives it.",
    ),
    Column("type", Text, primary_key=True, comment="Type of the record."),
    Column("identity", Text, primary_key=True, comment="The source's own identifier."),
    Column("key", Text, nullable=False, comment="Key of the record."),
    Column("given", LargeBinary, nullable=False, comment="JSON: the members that the source gave last."),
    Column(
        "person",
        ARRAY(Text),
        nullable=False,
        server_default=text("'{}'"),
        comment="Paths of the members that a person changed since.",
    ),
    Column("changed_at", Moment, comment="The last change, as the source says; null where it does not."),
    Column("disappeared_at", Moment, comment="The run since which the source no longer gives it."),
    UniqueConstraint("type", "key"),
)

source_runs = Table(
    "source_runs",
    metadata,
    Column(
        "source",
        Text,
        ForeignKey("sources.name", ondelete="CASCADE"),
        primary_key=True,
        comment="The source.",
    ),
    Column("number", BigInteger, primary_key=True, comment="1, 2, 3, …"),
    Column("ended_at", Moment, nullable=False, comment="When."),
    Column("report", LargeBinary, nullable=False, comment="JSON, bounded (domain/sources/report.py)."),
)

uploaded_files = Table(
    "uploaded_files",
    metadata,
    Column("id", Text, primary_key=True, comment="Random; in the address of its pages."),
    Column(
        "person",
        Text,
        ForeignKey(people.c.id, ondelete="CASCADE"),
        nullable=False,
        comment="The person who uploaded it, and who alone sees it.",
    ),
    Column("name", Text, nullable=False, comment="Its name on their computer."),
    Column("kind", Text, nullable=False, comment="As which kind it is to be imported."),
    Column("options", LargeBinary, nullable=False, comment="JSON: how it is read."),
    Column("raw", LargeBinary, nullable=False, comment="The file."),
    Column("expires_at", Moment, nullable=False, comment="Deleted from then on."),
    Index("ix_uploaded_files_person", "person"),
    Index("ix_uploaded_files_expires_at", "expires_at"),
)
