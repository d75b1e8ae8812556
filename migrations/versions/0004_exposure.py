"""Deployments added up for exposure; incidents are found by the operators whose deployments they name.

Revision ID: 0004
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
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
