"""The label of new outages and maintenance; as before in a database that is there.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Off for the node that has its row already, and on for a node that gets its row after this: no upgrade
    # shows more than before.
    op.add_column(
        "node",
        sa.Column(
            "public_outages",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="True: outages and maintenance are CLEAR when their writer names no label; else GREEN.",
        ),
    )
    op.alter_column("node", "public_outages", server_default=sa.text("true"))


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
