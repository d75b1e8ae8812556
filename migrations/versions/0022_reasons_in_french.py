"""The reason why a source failed, in French.

Revision ID: 0022
Revises: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Sources that fail at this moment get it with their next run.
    op.add_column("sources", sa.Column("reason_fr", sa.Text(), comment="The same reason in French."))


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
