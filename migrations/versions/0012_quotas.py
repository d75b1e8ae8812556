"""Quotas of peers, and alerts that are withheld in a flood.

A feed counts its records and their bytes from now on; those of the copies that are there are counted here,
once: about a second for 100 000 records.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name, comment in (
        ("records", "Others: stored records, with tombstones. Counts towards the quota of the peer."),
        ("bytes", "Others: bytes of their documents. Counts towards the quota of the peer."),
    ):
        op.add_column(
            "feeds",
            sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"), comment=comment),
        )
    op.execute(
        "UPDATE feeds SET records = counted.records, bytes = counted.bytes FROM ("
        "    SELECT feed, count(*) AS records, sum(octet_length(document)) AS bytes"
        "    FROM records GROUP BY feed"
        ") AS counted, node WHERE counted.feed = feeds.id AND feeds.origin <> node.operator"
    )
    for name, comment in (
        ("beyond_quota", "The bound that its peer would go beyond; null within its quota."),
        ("beyond_reason", "How far, in a sentence."),
    ):
        op.add_column("copies", sa.Column(name, sa.Text, comment=comment))
    op.add_column("copies", sa.Column("beyond_at", MOMENT, comment="Since when."))
    op.add_column(
        "peers",
        sa.Column(
            "quota",
            postgresql.JSONB,
            nullable=False,
            server_default=sa.text("'{}'"),
            comment="Bounds of its own, by name, in place of those of the node.",
        ),
    )
    op.add_column(
        "alerts",
        sa.Column("origin", sa.Text, comment="The operator it is about; null in alerts of earlier versions."),
    )
    op.add_column(
        "alerts",
        sa.Column(
            "withheld",
            sa.Boolean,
            nullable=False,
            server_default=sa.text("false"),
            comment="Whether it was beyond the ceiling of its origin: only a digest counts it.",
        ),
    )
    op.create_index("ix_alerts_origin", "alerts", ["origin", "subscription", "at"])
    op.create_table(
        "alert_floods",
        sa.Column(
            "subscription",
            sa.Text,
            sa.ForeignKey("subscriptions.id", name="fk_alert_floods_subscription", ondelete="CASCADE"),
            nullable=False,
            comment="Whose alerts are withheld.",
        ),
        sa.Column("origin", sa.Text, nullable=False, comment="The operator they are about."),
        sa.Column("began_at", MOMENT, nullable=False, comment="When the first of them was withheld."),
        sa.Column("last_at", MOMENT, nullable=False, comment="When the last of them was."),
        sa.Column("withheld", sa.BigInteger, nullable=False, comment="How many: the digest says so."),
        sa.PrimaryKeyConstraint("subscription", "origin", name="pk_alert_floods"),
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
