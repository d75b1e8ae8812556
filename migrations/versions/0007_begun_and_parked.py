"""Groups that are begun anew know from where withdrawals were kept; parked alerts are found by an index.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "exposure",
        sa.Column(
            "begun_at",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="From where withdrawals were kept when the groups were begun: what left is in none.",
        ),
    )
    op.create_index("ix_alerts_parked", "alerts", ["at"], postgresql_where=sa.text("parked_at is not null"))


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
