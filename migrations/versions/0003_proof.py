"""Digests and checkpoints, the state of copies, receipts, feedback.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "copies",
        sa.Column("feed", sa.Integer(), nullable=False, comment="Another operator's feed."),
        sa.Column(
            "compared",
            sa.Text(),
            nullable=True,
            comment="verified or diverged, as the last comparison found; null before one.",
        ),
        sa.Column("detail", sa.Text(), nullable=True, comment="Why it has diverged, in a sentence."),
        sa.Column(
            "tried",
            sa.Text(),
            nullable=True,
            comment="Roots, theirs and ours, that a repair has left unequal.",
        ),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True, comment="When."),
        sa.Column(
            "verified_seq", sa.BigInteger(), nullable=True, comment="Number at which it was last found equal."
        ),
        sa.Column(
            "verified_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the origin signed what it was last found equal to.",
        ),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when that proves that the copy is fresh.",
        ),
        sa.Column(
            "newest",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Signing time of the newest checkpoint that came: none older is taken.",
        ),
        sa.Column(
            "via",
            sa.Text(),
            nullable=True,
            comment="The peer that the last entries came from; null for the origin itself.",
        ),
        sa.Column(
            "withdrawn_epoch",
            sa.Text(),
            nullable=True,
            comment="Epoch of what was withdrawn and dropped here.",
        ),
        sa.Column(
            "withdrawn",
            sa.BigInteger(),
            nullable=True,
            comment="Number of the last withdrawal that was carried out.",
        ),
        sa.Column(
            "purged",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether all of it was dropped, since it may not be read any more.",
        ),
        sa.Column(
            "receipted",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Whether the origin has our receipt for that.",
        ),
        sa.Column(
            "braked",
            sa.Text(),
            nullable=True,
            comment="Why nothing more is taken until an administrator confirms.",
        ),
        sa.Column("braked_at", sa.DateTime(timezone=True), nullable=True, comment="Since when."),
        sa.Column(
            "confirmed",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether an administrator has confirmed the removals that are to come.",
        ),
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], name=op.f("fk_copies_feed")),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_copies")),
    )
    op.create_table(
        "departures",
        sa.Column("feed", sa.Integer(), nullable=False, comment="A feed of our own."),
        sa.Column(
            "operator", sa.Text(), nullable=False, comment="The peer that was taken out of its audience."
        ),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False, comment="When."
        ),
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], name=op.f("fk_departures_feed")),
        sa.PrimaryKeyConstraint("feed", "operator", name=op.f("pk_departures")),
    )
    op.create_table(
        "digests",
        sa.Column("feed", sa.Integer(), nullable=False, comment="Whose digest it is."),
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, comment="Number of the feed up to which it was made."
        ),
        sa.Column(
            "retained_from", sa.BigInteger(), nullable=False, comment="Tombstones up to it are not in it."
        ),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="Records that are no tombstones."),
        sa.Column(
            "buckets", sa.LargeBinary(), nullable=False, comment="256 SHA-256 digests, one after the other."
        ),
        sa.Column(
            "marked",
            postgresql.ARRAY(sa.SmallInteger()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Buckets that changed without a new number of the feed.",
        ),
        sa.Column(
            "checkpoint",
            sa.Text(),
            nullable=True,
            comment="JWS of the origin over just this state; null when there is none.",
        ),
        sa.Column(
            "signed_at", sa.DateTime(timezone=True), nullable=True, comment="When the origin signed it."
        ),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when it proves that the state is fresh.",
        ),
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], name=op.f("fk_digests_feed")),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_digests")),
    )
    op.create_table(
        "feedback",
        sa.Column("operator", sa.Text(), nullable=False, comment="The peer that could not take the entry."),
        sa.Column("feed", sa.Integer(), nullable=False, comment="A feed of our own."),
        sa.Column("type", sa.Text(), nullable=False, comment="Type the entry named."),
        sa.Column("key", sa.Text(), nullable=False, comment="Key the entry named."),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="Number of the entry."),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="Revision the entry named."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, in a word."),
        sa.Column("detail", sa.Text(), nullable=False, comment="Why, in a sentence."),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was told.",
        ),
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], name=op.f("fk_feedback_feed")),
        sa.PrimaryKeyConstraint("operator", "feed", "type", "key", name=op.f("pk_feedback")),
    )
    op.create_table(
        "receipts",
        sa.Column("feed", sa.Integer(), nullable=False, comment="A feed of our own."),
        sa.Column("operator", sa.Text(), nullable=False, comment="The peer that signed it."),
        sa.Column("epoch", sa.Text(), nullable=False, comment="Epoch of the number."),
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, comment="It has carried out every withdrawal up to it."
        ),
        sa.Column("purged", sa.Boolean(), nullable=False, comment="It has dropped the whole feed."),
        sa.Column("jws", sa.Text(), nullable=False, comment="The receipt itself."),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it came.",
        ),
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], name=op.f("fk_receipts_feed")),
        sa.PrimaryKeyConstraint("feed", "operator", name=op.f("pk_receipts")),
    )
    op.add_column(
        "node",
        sa.Column(
            "system_id",
            sa.Text(),
            nullable=True,
            comment="PostgreSQL's system identifier and the database's oid, then.",
        ),
    )
    op.add_column(
        "node", sa.Column("timeline", sa.BigInteger(), nullable=True, comment="PostgreSQL's timeline, then.")
    )
    op.add_column(
        "node",
        sa.Column(
            "proved",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Counts checkpoints signed here: who waits at the heads is told of them.",
        ),
    )
    op.add_column(
        "node",
        sa.Column(
            "arrivals_from",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Cursors in the order of arrival before it have missed tombstones.",
        ),
    )
    op.add_column(
        "records",
        sa.Column(
            "bucket",
            sa.SmallInteger(),
            sa.Computed("get_byte(sha256(((type || '/') || key)::bytea), 0)", persisted=True),
            nullable=False,
            comment="Bucket of the feed's digest: the first byte of SHA-256(type/key).",
        ),
    )
    op.create_index("ix_records_bucket", "records", ["feed", "bucket"], unique=False)
    op.create_index(
        "ix_records_tombstones",
        "records",
        ["feed", "seq"],
        unique=False,
        postgresql_where=sa.text("retracted"),
    )
    op.add_column(
        "set_aside",
        sa.Column(
            "told",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether the origin has been told.",
        ),
    )
    op.add_column(
        "withdrawals",
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was noted here.",
        ),
    )
    op.execute("INSERT INTO copies (feed) SELECT id FROM feeds WHERE origin <> (SELECT operator FROM node)")


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
