"""Sources of records, what they gave of each, the reports of their runs, and files to be imported.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("name", sa.Text(), nullable=False, comment="As its administrator calls it."),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="csv, publiccode, csaf, … (domain/sources/kinds.py)."
        ),
        sa.Column("url", sa.Text(), comment="Where it is polled; null where files are uploaded or pushed."),
        sa.Column("every", sa.Integer(), comment="Seconds between two runs of a polled source."),
        sa.Column("options", sa.LargeBinary(), nullable=False, comment="JSON: how its files are read."),
        sa.Column(
            "tlp", sa.Text(), comment="The label of its records; null for that of the source or the type."
        ),
        sa.Column(
            "audience", sa.Text(), comment="The group that may see them; of AMBER and AMBER+STRICT only."
        ),
        sa.Column(
            "private",
            sa.Boolean(),
            nullable=False,
            comment="Whether its address may be one that is not public.",
        ),
        sa.Column(
            "quota", sa.LargeBinary(), nullable=False, comment="JSON: bounds that differ from the default."
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            server_default=sa.text("'active'"),
            comment="active or paused.",
        ),
        sa.Column("secret_hash", sa.LargeBinary(), comment="SHA-256 of the secret of a pushed source."),
        sa.Column("etag", sa.Text(), comment="ETag of the last answer that was read whole."),
        sa.Column("last_modified", sa.Text(), comment="Last-Modified of that answer."),
        sa.Column("created_at", MOMENT, nullable=False, server_default=NOW, comment="When."),
        sa.Column("next_at", MOMENT, comment="The next run; null where none is due."),
        sa.Column("last_run_at", MOMENT, comment="The end of the last run."),
        sa.Column("last_success_at", MOMENT, comment="The end of the last run that succeeded."),
        sa.Column("failures", sa.Integer(), nullable=False, server_default=sa.text("0"), comment="In a row."),
        sa.Column("failing_since", MOMENT, comment="The first of these failures."),
        sa.Column(
            "reason", sa.Text(), comment="The reason of the last failure; null after a run that succeeded."
        ),
        sa.Column(
            "memory",
            sa.LargeBinary(),
            comment="JSON: what its reader needs to know of the runs before.",
        ),
        sa.Column(
            "runs",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="Number of the last run.",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    op.create_index("ix_sources_next_at", "sources", ["next_at"])
    op.create_table(
        "source_items",
        sa.Column("source", sa.Text(), nullable=False, comment="The source that gives it."),
        sa.Column("type", sa.Text(), nullable=False, comment="Type of the record."),
        sa.Column("identity", sa.Text(), nullable=False, comment="The source's own identifier."),
        sa.Column("key", sa.Text(), nullable=False, comment="Key of the record."),
        sa.Column(
            "given",
            sa.LargeBinary(),
            nullable=False,
            comment="JSON: the members that the source gave last.",
        ),
        sa.Column(
            "person",
            ARRAY(sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
            comment="Paths of the members that a person changed since.",
        ),
        sa.Column(
            "changed_at",
            MOMENT,
            comment="The last change, as the source says; null where it does not.",
        ),
        sa.Column("disappeared_at", MOMENT, comment="The run since which the source no longer gives it."),
        sa.PrimaryKeyConstraint("source", "type", "identity", name=op.f("pk_source_items")),
        _of_source("source_items"),
        sa.UniqueConstraint("type", "key", name=op.f("uq_source_items_type_key")),
    )
    op.create_table(
        "source_runs",
        sa.Column("source", sa.Text(), nullable=False, comment="The source."),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="1, 2, 3, …"),
        sa.Column("ended_at", MOMENT, nullable=False, comment="When."),
        sa.Column(
            "report", sa.LargeBinary(), nullable=False, comment="JSON, bounded (domain/sources/report.py)."
        ),
        sa.PrimaryKeyConstraint("source", "number", name=op.f("pk_source_runs")),
        _of_source("source_runs"),
    )
    op.create_table(
        "uploaded_files",
        sa.Column("id", sa.Text(), nullable=False, comment="Random; in the address of its pages."),
        sa.Column(
            "person",
            sa.Text(),
            nullable=False,
            comment="The person who uploaded it, and who alone sees it.",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Its name on their computer."),
        sa.Column("kind", sa.Text(), nullable=False, comment="As which kind it is to be imported."),
        sa.Column("options", sa.LargeBinary(), nullable=False, comment="JSON: how it is read."),
        sa.Column("raw", sa.LargeBinary(), nullable=False, comment="The file."),
        sa.Column("expires_at", MOMENT, nullable=False, comment="Deleted from then on."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploaded_files")),
        sa.ForeignKeyConstraint(
            ["person"], ["people.id"], name=op.f("fk_uploaded_files_person"), ondelete="CASCADE"
        ),
    )
    op.create_index("ix_uploaded_files_person", "uploaded_files", ["person"])
    op.create_index("ix_uploaded_files_expires_at", "uploaded_files", ["expires_at"])


def _of_source(table: str) -> sa.Constraint:
    return sa.ForeignKeyConstraint(
        ["source"], ["sources.name"], name=op.f(f"fk_{table}_source"), ondelete="CASCADE"
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
