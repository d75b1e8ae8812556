"""Mark the records of peers whose content this version does not understand.

Lists leave them out, so the two indexes of lists do. Entries that an earlier version has rejected for their
content are pulled again: their copies have diverged, and the next comparison repairs them. Records that an
earlier version has stored are all understood, but for those of types it does not know: they get their mark.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

LISTED = ("type", "updated_at", "origin", "key")


def upgrade() -> None:
    op.add_column(
        "records",
        sa.Column(
            "not_understood",
            sa.Text(),
            comment="Others: why this version does not understand the content; null when it does.",
        ),
    )
    op.execute(
        "UPDATE records SET not_understood = 'its type is not known to this version' WHERE NOT retracted"
        " AND type NOT IN"
        " ('solution', 'deployment', 'incident', 'statement', 'operator', 'group', 'membership')"
    )
    op.create_index(
        "ix_records_not_understood",
        "records",
        ["type", "origin", "key"],
        postgresql_include=["audience", "updated_at"],
        postgresql_where=sa.text("not_understood is not null"),
    )
    for name, condition in (
        ("ix_records_listed", "not retracted and not_understood is null"),
        ("ix_records_listed_public", "not retracted and not_understood is null and audience = 'public'"),
    ):
        op.drop_index(name, "records")
        op.create_index(name, "records", LISTED, postgresql_where=sa.text(condition))
    # Without statistics the planner takes nearly all records for not understood, and counts them by a scan.
    op.execute("ANALYZE records (not_understood)")
    # Each of these copies is repaired once more, though its origin has signed nothing new since.
    op.execute("UPDATE copies SET tried = NULL, tried_at = NULL WHERE compared = 'diverged'")


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
