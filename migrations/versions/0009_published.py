"""Changes of the node's own records are counted: what peers sent wakes nobody who waits for those.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "node",
        sa.Column(
            "published",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="Counts changes of the node's own records: who waits at the heads is told of them.",
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
