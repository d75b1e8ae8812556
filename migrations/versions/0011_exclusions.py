"""Exclusions: operators that may not see this node's records for the federation, and those of other origins.

Peers that were suspended before are suspended at this node alone, until somebody suspends them again: nothing
is signed that no administrator has decided.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exclusions",
        sa.Column(
            "operator",
            sa.Text(),
            nullable=False,
            comment="Withheld this node's GREEN records, at every member; it need be no peer.",
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
            comment="Since when.",
        ),
        sa.PrimaryKeyConstraint("operator", name=op.f("pk_exclusions")),
    )
    op.add_column(
        "copies",
        sa.Column(
            "excludes",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
            comment="Operators that the origin has signed that they may not see this feed.",
        ),
    )
    op.create_index("ix_copies_excluding", "copies", ["feed"], postgresql_where=sa.text("excludes <> '{}'"))


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
