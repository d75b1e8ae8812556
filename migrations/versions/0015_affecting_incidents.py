"""Episodes of incidents that affect the operator, and advisories that were read before.

Incidents that have an alert are known: when they are opened again, they have another one.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "affecting_incidents",
        sa.Column(
            "incident",
            sa.Text(),
            nullable=False,
            comment="An incident that affects the operator, or did: ORIGIN/KEY.",
        ),
        sa.Column(
            "alert_name",
            sa.Text(),
            nullable=False,
            comment="Names its alerts; incidents of one vulnerability may share it.",
        ),
        sa.Column(
            "episode",
            sa.Integer(),
            nullable=False,
            server_default=sa.text("1"),
            comment="Counts from 1: it began anew.",
        ),
        sa.Column(
            "exploited",
            sa.Boolean(),
            comment="Whether its alert knows it as exploited; null: not known.",
        ),
        sa.Column(
            "began_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When a scan found that it affects the operator.",
        ),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            comment="When it was over, or affected the operator no more; null: it lasts.",
        ),
        sa.Column(
            "mitigated_at",
            sa.DateTime(timezone=True),
            comment="When it was said to be mitigated; null: it is not.",
        ),
        sa.Column(
            "through",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="Local sequence of the last change that this row may rest on.",
        ),
        sa.PrimaryKeyConstraint("incident", name=op.f("pk_affecting_incidents")),
    )
    op.create_table(
        "read_advisories",
        sa.Column("form", sa.Text(), nullable=False, comment="cve, osv or csaf."),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="Of the advisory's bytes."),
        sa.Column(
            "basis",
            sa.LargeBinary(),
            nullable=False,
            comment="Hash of the solutions, options and program that its outcome rests on.",
        ),
        sa.Column("incidents", sa.Integer(), nullable=False, comment="Incidents made of it."),
        sa.Column(
            "skipped", sa.Integer(), nullable=False, comment="Vulnerabilities of it that were skipped."
        ),
        sa.Column(
            "state", sa.LargeBinary(), nullable=False, comment="Hash of its incidents as they were then."
        ),
        sa.PrimaryKeyConstraint("form", "sha256", name=op.f("pk_read_advisories")),
    )
    # A row for each incident with an alert; the next scan ends the episodes of those that are over.
    op.execute(
        "INSERT INTO affecting_incidents (incident, alert_name, began_at)"
        " SELECT subject, subject, min(at) FROM alerts WHERE event = 'incident.affects-mine' GROUP BY subject"
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
