"""The OpenPGP keys that sign CSAF documents.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "openpgp_keys",
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="In capital hexadecimal digits."),
        sa.Column(
            "certificate", sa.LargeBinary(), nullable=False, comment="The public part, in ASCII armour."
        ),
        sa.Column(
            "secret",
            sa.LargeBinary(),
            comment="The private part, of the key that signs only. Backups hold it: keep them safe.",
        ),
        sa.Column(
            "revocation", sa.LargeBinary(), nullable=False, comment="Made with the key; published if needed."
        ),
        sa.Column("created_at", MOMENT, nullable=False, comment="When."),
        sa.Column("revoked_at", MOMENT, comment="When its revocation was published; null before."),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_openpgp_keys")),
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
