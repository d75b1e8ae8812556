"""People of the operator, with what they log in by; subscriptions of a person.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Text(), nullable=False, comment="person-, and 16 hexadecimal digits."),
        sa.Column("name", sa.Text(), nullable=False, comment="As the audit trail and the pages show it."),
        sa.Column("role", sa.Text(), nullable=False, comment="reader, editor or administrator."),
        sa.Column("label", sa.Text(), nullable=False, comment="The ceiling: GREEN, AMBER or RED."),
        sa.Column(
            "groups",
            ARRAY(sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
            comment="Groups of the ceiling, as origin/name; of AMBER only.",
        ),
        sa.Column("issuer", sa.Text(), comment="Identity provider by which they log in; null without one."),
        sa.Column("subject", sa.Text(), comment="Their identifier there."),
        sa.Column(
            "by_claim",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="True where role and ceiling come from a claim of the identity provider at each login.",
        ),
        sa.Column("created_at", MOMENT, nullable=False, server_default=NOW, comment="When."),
        sa.Column("logged_in_at", MOMENT, comment="The last login."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_people_issuer_subject")),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the secret in the cookie."),
        _person(),
        sa.Column("created_at", MOMENT, nullable=False, comment="The login."),
        sa.Column(
            "seen_at", MOMENT, nullable=False, comment="A request, of the last minute or the last one."
        ),
        sa.Column("authenticated_at", MOMENT, nullable=False, comment="When the person proved who they are."),
        sa.Column("expires_at", MOMENT, nullable=False, comment="Not valid from then on."),
        sa.Column(
            "logout_hint",
            sa.Text(),
            comment="The ID token of the login, to log out at the identity provider.",
        ),
        *_constraints("sessions", "hash"),
    )
    op.create_index("ix_sessions_person", "sessions", ["person"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "person_invitations",
        sa.Column("id", sa.Text(), nullable=False, comment="In the path of the link; no secret."),
        _person(),
        sa.Column(
            "secret_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the secret in the link."
        ),
        sa.Column(
            "code_hash",
            sa.LargeBinary(),
            nullable=False,
            comment="scrypt of the code for pages without script.",
        ),
        sa.Column(
            "tries",
            sa.SmallInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="Wrong codes so far.",
        ),
        sa.Column("created_at", MOMENT, nullable=False, server_default=NOW, comment="When."),
        sa.Column("expires_at", MOMENT, nullable=False, comment="Not valid from then on."),
        *_constraints("person_invitations", "id"),
    )
    op.create_index("ix_person_invitations_person", "person_invitations", ["person"])
    op.create_table(
        "passkeys",
        sa.Column("id", sa.LargeBinary(), nullable=False, comment="Credential id (WebAuthn)."),
        _person(),
        sa.Column("public_key", sa.LargeBinary(), nullable=False, comment="As COSE_Key."),
        sa.Column(
            "sign_count",
            sa.BigInteger(),
            nullable=False,
            comment="Counter of the authenticator at the last login.",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="What the person calls it."),
        sa.Column(
            "transports",
            ARRAY(sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
            comment="Hints.",
        ),
        sa.Column("created_at", MOMENT, nullable=False, server_default=NOW, comment="When."),
        sa.Column("used_at", MOMENT, comment="The last login with it."),
        *_constraints("passkeys", "id"),
    )
    op.create_index("ix_passkeys_person", "passkeys", ["person"])
    op.create_table(
        "login_states",
        sa.Column(
            "hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the state that the browser has."
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="The kind of login that it is a state of."),
        sa.Column(
            "data",
            sa.LargeBinary(),
            nullable=False,
            comment="JSON: nonce, verifier, challenge, where to go on.",
        ),
        sa.Column("expires_at", MOMENT, nullable=False, comment="Not valid from then on."),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_login_states")),
    )
    op.create_index("ix_login_states_expires_at", "login_states", ["expires_at"])
    op.create_table(
        "calendar_addresses",
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the secret in the address."),
        _person(),
        sa.Column("created_at", MOMENT, nullable=False, server_default=NOW, comment="When."),
        sa.Column("used_at", MOMENT, comment="The day of the last request."),
        *_constraints("calendar_addresses", "hash"),
    )
    op.create_index("ix_calendar_addresses_person", "calendar_addresses", ["person"])
    op.add_column(
        "subscriptions",
        sa.Column("person", sa.Text(), comment="The person whose it is; null for the operator's."),
    )
    op.create_foreign_key(
        op.f("fk_subscriptions_person"), "subscriptions", "people", ["person"], ["id"], ondelete="CASCADE"
    )


def _person() -> sa.Column[str]:
    return sa.Column("person", sa.Text(), nullable=False, comment="Whose it is.")


def _constraints(table: str, key: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.PrimaryKeyConstraint(key, name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(
            ["person"], ["people.id"], name=op.f(f"fk_{table}_person"), ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
