"""The leaves of a bucket lie side by side in its index: to prove one is not to read all over the table.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_records_bucket", "records")
    op.create_index(
        "ix_records_bucket",
        "records",
        ["feed", "bucket"],
        postgresql_include=["type", "key", "revision", "retracted", "hash", "seq"],
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
