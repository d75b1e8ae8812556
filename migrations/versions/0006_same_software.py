"""What the records of solutions say they are, to find the same software; counts of a group in parts.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "solution_identifiers",
        sa.Column("origin", sa.Text(), nullable=False, comment="The operator that writes the solution."),
        sa.Column("key", sa.Text(), nullable=False, comment="Its key."),
        sa.Column(
            "identifier",
            sa.Text(),
            nullable=False,
            comment="What it says it is: a URI, or another solution.",
        ),
        sa.Column(
            "audience",
            sa.Text(),
            nullable=False,
            comment="As that of the record: who may know that it says so.",
        ),
        sa.PrimaryKeyConstraint("origin", "key", "identifier", name=op.f("pk_solution_identifiers")),
    )
    op.create_index(
        "ix_solution_identifiers_naming",
        "solution_identifiers",
        ["identifier", "origin", "audience", "key"],
    )
    op.create_table(
        "deployed_counts",
        sa.Column("grouped", sa.Integer(), autoincrement=False, nullable=False, comment="The group."),
        sa.Column(
            "part",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Numbers without their last bits.",
        ),
        sa.Column(
            "counts",
            sa.LargeBinary(),
            nullable=False,
            comment="How many of the deployments cover each: numbers, then counts, each of four bytes.",
        ),
        sa.PrimaryKeyConstraint("grouped", "part", name=op.f("pk_deployed_counts")),
    )
    op.drop_column("deployed_groups", "counts")
    # The solutions that are held already are to be read: everything is brought in anew, as for another
    # edition of the register of communes.
    op.execute("UPDATE exposure SET register = ''")


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
