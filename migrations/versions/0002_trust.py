"""Invitations, key succession, revoked tokens, the audit trail.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "peers",
        sa.Column(
            "private",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether addresses that are not public (loopback, private ranges) are allowed.",
        ),
    )
    op.add_column(
        "peers",
        sa.Column(
            "keys_read_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its key set was last asked for.",
        ),
    )
    op.alter_column("peers", "state", comment="pending, active, suspended or left.")
    op.create_table(
        "invitations",
        sa.Column(
            "secret_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the secret, 256 random bits."
        ),
        sa.Column("note", sa.Text(), nullable=False, comment="Whom it is for, in the administrator's words."),
        sa.Column(
            "private",
            sa.Boolean(),
            nullable=False,
            comment="Whether who joins with it may have addresses that are not public.",
        ),
        sa.Column(
            "used",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="It is for one use.",
        ),
        sa.Column("used_by", sa.Text(), nullable=True, comment="The operator that joined with it."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, comment="Not valid after."),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_invitations")),
    )
    op.add_column(
        "clients",
        sa.Column(
            "former_secret_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="The secret before it, which still holds until the next change or until it is dropped.",
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "use_from",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="It signs from then on; it is published before.",
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "endorsement",
            sa.Text(),
            nullable=True,
            comment="JWS of the key before it over this one; null for the first.",
        ),
    )
    op.add_column(
        "keys",
        sa.Column(
            "retired",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Nothing it signed holds any more; its private part has been dropped.",
        ),
    )
    op.create_table(
        "proofs",
        sa.Column(
            "fingerprint",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of a DPoP proof's key and jti.",
        ),
        sa.Column(
            "expires_at", sa.DateTime(timezone=True), nullable=False, comment="It may be forgotten after."
        ),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_proofs")),
    )
    op.create_index(op.f("ix_proofs_expires_at"), "proofs", ["expires_at"], unique=False)
    op.create_table(
        "revoked_tokens",
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="SHA-256 of the token."),
        sa.Column(
            "expires_at", sa.DateTime(timezone=True), nullable=False, comment="It may be forgotten after."
        ),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_revoked_tokens")),
    )
    op.create_index(op.f("ix_revoked_tokens_expires_at"), "revoked_tokens", ["expires_at"], unique=False)
    op.create_table(
        "audit",
        sa.Column(
            "n", sa.BigInteger(), autoincrement=False, nullable=False, comment="1, 2, 3... without a gap."
        ),
        sa.Column(
            "entry",
            sa.LargeBinary(),
            nullable=False,
            comment="Canonical JSON: what happened, when, by whom.",
        ),
        sa.Column(
            "hash",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of the hash before it and the entry.",
        ),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_audit")),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column(
            "n", sa.BigInteger(), autoincrement=False, nullable=False, comment="The last entry it covers."
        ),
        sa.Column("jws", sa.Text(), nullable=False, comment="Signed by the node: n, hash and time."),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_audit_checkpoints")),
    )
