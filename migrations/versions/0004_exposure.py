"""Deployments added up for exposure, alerts, clocks; incidents are found by whose deployments they name.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exposure",
        sa.Column(
            "one", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="There is one row."
        ),
        sa.Column(
            "arrival",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Arrivals up to this number are in the groups. Its row is the lock of bringing in.",
        ),
        sa.Column(
            "register",
            sa.Text(),
            server_default=sa.text("''"),
            nullable=False,
            comment="Edition of the register of communes that the numbers are of.",
        ),
        sa.CheckConstraint("one", name=op.f("ck_exposure_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_exposure")),
    )
    op.execute("INSERT INTO exposure DEFAULT VALUES")
    op.create_table(
        "deployed_groups",
        sa.Column(
            "id", sa.Integer(), sa.Identity(always=True), nullable=False, comment="Stands for the group."
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="The operator of these deployments."),
        sa.Column(
            "audience",
            sa.Text(),
            nullable=False,
            comment="As that of the records: who may know of the group.",
        ),
        sa.Column("solution", sa.Text(), nullable=False, comment="origin/key of the solution."),
        sa.Column("version", sa.Text(), nullable=False, comment="As the deployments say; empty for none."),
        sa.Column(
            "version_state", sa.Text(), nullable=False, comment="As the deployments say; empty for none."
        ),
        sa.Column(
            "in_use", sa.Boolean(), nullable=False, comment="False for planned and retired deployments."
        ),
        sa.Column(
            "deployments", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="How many."
        ),
        sa.Column(
            "counted",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Bodies told as number.",
        ),
        sa.Column(
            "areas",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Territories not known here.",
        ),
        sa.Column(
            "bodies",
            sa.LargeBinary(),
            server_default=sa.text("''"),
            nullable=False,
            comment="Set of bodies and territories covered: bit n of a little-endian number.",
        ),
        sa.Column(
            "others",
            sa.LargeBinary(),
            server_default=sa.text("''"),
            nullable=False,
            comment="Set of bodies that are not in the register, in the same form.",
        ),
        sa.Column(
            "counts",
            sa.LargeBinary(),
            server_default=sa.text("''"),
            nullable=False,
            comment="How many of the deployments cover each: numbers, then counts, each of four bytes.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployed_groups")),
        sa.UniqueConstraint(
            "solution",
            "origin",
            "audience",
            "version",
            "version_state",
            "in_use",
            name=op.f("uq_deployed_groups_name"),
        ),
    )
    op.create_index("ix_deployed_groups_origin", "deployed_groups", ["origin"])
    op.create_table(
        "deployed",
        sa.Column("origin", sa.Text(), nullable=False, comment="The operator that writes the deployment."),
        sa.Column("key", sa.Text(), nullable=False, comment="Its key."),
        sa.Column("grouped", sa.Integer(), nullable=False, comment="The group it is counted in."),
        sa.Column(
            "numbers",
            sa.LargeBinary(),
            nullable=False,
            comment="Whom it covers: numbers of four bytes.",
        ),
        sa.Column("counted", sa.BigInteger(), nullable=False, comment="Bodies told as a number."),
        sa.Column("areas", sa.Integer(), nullable=False, comment="Territories that are not known here."),
        sa.PrimaryKeyConstraint("origin", "key", name=op.f("pk_deployed")),
    )
    op.create_index("ix_deployed_grouped", "deployed", ["grouped", "origin", "key"])
    op.create_table(
        "bodies_elsewhere",
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="scheme:value of a body that is in no register here.",
        ),
        sa.Column("number", sa.Integer(), sa.Identity(always=True), nullable=False, comment="Its number."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bodies_elsewhere")),
        sa.UniqueConstraint("number", name=op.f("uq_bodies_elsewhere_number")),
    )
    op.create_table(
        "clocks",
        sa.Column("key", sa.Text(), nullable=False, comment="The operator's own key."),
        sa.Column("clock", sa.LargeBinary(), nullable=False, comment="Canonical JSON. Never in a feed."),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_clocks")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7."),
        sa.Column("events", ARRAY(sa.Text()), nullable=False, comment="What it is told of."),
        sa.Column("webhook", sa.Text(), nullable=True, comment="URL, or null when it is told by e-mail."),
        sa.Column("email", sa.Text(), nullable=True, comment="Mailbox, or null."),
        sa.Column(
            "secret",
            sa.Text(),
            nullable=False,
            comment="Signs webhooks (Standard Webhooks); kept to sign with.",
        ),
        sa.Column("unanswered_hours", sa.Integer(), nullable=False, comment="Of incident.unanswered."),
        sa.Column(
            "private",
            sa.Boolean(),
            nullable=False,
            comment="Whether the webhook may be at a private address.",
        ),
        sa.Column(
            "active",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="False after a 410.",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7; webhook-id of every attempt."),
        sa.Column("subscription", sa.Text(), nullable=False, comment="Whose."),
        sa.Column(
            "name", sa.Text(), nullable=False, comment="The event; one alert of a name for each subscription."
        ),
        sa.Column("event", sa.Text(), nullable=False, comment="Its kind."),
        sa.Column("subject", sa.Text(), nullable=False, comment="What it is about."),
        sa.Column(
            "data",
            sa.LargeBinary(),
            nullable=False,
            comment="JSON: what is told. Above GREEN ids and links only.",
        ),
        sa.Column("at", moment, nullable=False, comment="When it was noticed."),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="So far."),
        sa.Column("next_try_at", moment, nullable=True, comment="Not before; null when delivered or parked."),
        sa.Column("delivered_at", moment, nullable=True, comment="When it was taken."),
        sa.Column("parked_at", moment, nullable=True, comment="When it was given up."),
        sa.Column("failure", sa.Text(), nullable=True, comment="Why the last attempt failed."),
        sa.ForeignKeyConstraint(
            ["subscription"],
            ["subscriptions.id"],
            name=op.f("fk_alerts_subscription_subscriptions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("subscription", "name", name=op.f("uq_alerts_subscription_name")),
    )
    op.create_index(
        "ix_alerts_due", "alerts", ["next_try_at"], postgresql_where=sa.text("next_try_at is not null")
    )
    op.create_index("ix_alerts_at", "alerts", ["at"])
    op.create_table(
        "alerting",
        sa.Column(
            "one", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="There is one row."
        ),
        sa.Column(
            "arrival",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Arrivals up to this number have made their alerts. Its row is the lock of making them.",
        ),
        sa.CheckConstraint("one", name=op.f("ck_alerting_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_alerting")),
    )
    op.execute("INSERT INTO alerting DEFAULT VALUES")
    # What new incidents are found by since this version, for those that are held already.
    op.execute(
        "UPDATE records SET facets = facets || named.operators FROM ("
        "  SELECT r.type, r.origin, r.key,"
        "    array_agg(DISTINCT 'incident.operator=' || split_part(substr(f, 21), '/', 1)) AS operators"
        "  FROM records AS r, unnest(r.facets) AS f"
        "  WHERE r.type = 'incident' AND f LIKE 'incident.deployment=%'"
        "  GROUP BY r.type, r.origin, r.key"
        ") AS named"
        " WHERE records.type = named.type AND records.origin = named.origin AND records.key = named.key"
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
