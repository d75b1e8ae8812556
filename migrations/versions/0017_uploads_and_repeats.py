"""Sets of uploaded records, and answers to requests with an Idempotency-Key.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "record_sets",
        sa.Column("type", sa.Text(), nullable=False, comment="Type of an own record."),
        sa.Column("key", sa.Text(), nullable=False, comment="Its key."),
        sa.Column("name", sa.Text(), nullable=False, comment="The set under which it was uploaded last."),
        sa.PrimaryKeyConstraint("type", "key", name=op.f("pk_record_sets")),
    )
    op.create_index("ix_record_sets_name", "record_sets", ["type", "name", "key"])
    op.create_table(
        "stored_answers",
        sa.Column("caller", sa.Text(), nullable=False, comment="The client that sent the request."),
        sa.Column("operation", sa.Text(), nullable=False, comment="Id of the operation."),
        sa.Column("key", sa.Text(), nullable=False, comment="Its Idempotency-Key."),
        sa.Column(
            "request_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of path, query and body."
        ),
        sa.Column("status", sa.SmallInteger(), nullable=False, comment="Status of the answer."),
        sa.Column("headers", sa.LargeBinary(), nullable=False, comment="Its headers, as a JSON object."),
        sa.Column(
            "body",
            sa.LargeBinary(),
            comment="Its body; null where it has shown a secret, which is not stored.",
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("caller", "operation", "key", name=op.f("pk_stored_answers")),
    )
    op.create_index("ix_stored_answers_at", "stored_answers", ["at"])


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
