"""Deadlines, rejected entries and affected deployments under their present names.

Scopes of clients, events of subscriptions and of alerts, the tables of reporting deadlines and of rejected
entries, and the columns of a copy whose removals are paused are renamed. The audit trail stays as it was
written: its entries are hashed.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SCOPES = {"clocks.read": "deadlines.read", "clocks.write": "deadlines.write"}
EVENTS = {"incident.hits-mine": "incident.affects-mine", "record.set-aside": "record.rejected"}


def upgrade() -> None:
    op.rename_table("clocks", "deadlines")
    op.alter_column("deadlines", "clock", new_column_name="deadline")
    op.execute("ALTER INDEX pk_clocks RENAME TO pk_deadlines")
    op.rename_table("set_aside", "rejected_entries")
    op.alter_column("rejected_entries", "told", new_column_name="reported")
    op.execute("ALTER INDEX pk_set_aside RENAME TO pk_rejected_entries")
    op.execute("ALTER TABLE rejected_entries RENAME CONSTRAINT fk_set_aside_feed TO fk_rejected_entries_feed")
    op.alter_column("copies", "braked", new_column_name="paused")
    op.alter_column("copies", "braked_at", new_column_name="paused_at")
    for old, new in SCOPES.items():
        _run(
            "UPDATE clients SET scopes = array_replace(scopes, :old, :new) WHERE :old = ANY(scopes)", old, new
        )
    for old, new in EVENTS.items():
        _run(
            "UPDATE subscriptions SET events = array_replace(events, :old, :new) WHERE :old = ANY(events)",
            old,
            new,
        )
        # The name begins with the event: it keeps an alert of one event from being made twice.
        _run("UPDATE alerts SET event = :new WHERE event = :old", old, new)
        _run(
            "UPDATE alerts SET name = :new || substr(name, length(:old) + 1)"
            " WHERE starts_with(name, :old || ' ')",
            old,
            new,
        )


def _run(statement: str, old: str, new: str) -> None:
    text = sa.text(statement).bindparams(
        sa.bindparam("old", old, sa.Text()), sa.bindparam("new", new, sa.Text())
    )
    op.get_bind().execute(text)


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
