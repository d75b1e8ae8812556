"""Checkpoints that do not come, and clocks of peers that differ from ours.

Revision ID: 0014
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "copies",
        sa.Column(
            "unsigned_since",
            sa.DateTime(timezone=True),
            comment="Since when entries lack a checkpoint that should have come; null where none does.",
        ),
    )
    op.add_column(
        "peers",
        sa.Column(
            "clock_difference",
            sa.Integer(),
            comment="Seconds that its clock was ahead of ours when it last answered; null where they agreed.",
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
