"""The feed of a record is not looked up again at each write.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("fk_records_feed"), "records", type_="foreignkey")


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
