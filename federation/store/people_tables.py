"""The tables of people: their sessions, invitations, passkeys, logins under way and calendar addresses.

Secrets are stored by their hash only. What is of a person goes with the person.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from federation.store.tables import Moment, metadata

people = Table(
    "people",
    metadata,
    Column("id", Text, primary_key=True, comment="person-, and 16 hexadecimal digits."),
    Column("name", Text, nullable=False, comment="As the audit trail and the pages show it."),
    Column("role", Text, nullable=False, comment="reader, editor or administrator."),
    Column("label", Text, nullable=False, comment="The ceiling: GREEN, AMBER or RED."),
    Column(
        "groups",
        ARRAY(Text),
        nullable=False,
        server_default=text("'{}'"),
        comment="Groups of the ceiling, as origin/name; of AMBER only.",
    ),
    Column("issuer", Text, comment="Identity provider by which they log in; null without one."),
    Column("subject", Text, comment="Their identifier there."),
    Column(
        "by_claim",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="True where role and ceiling come from a claim of the identity provider at each login.",
    ),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("logged_in_at", Moment, comment="The last login."),
    UniqueConstraint("issuer", "subject"),
)


def _person() -> Column[str]:
    return Column(
        "person", Text, ForeignKey("people.id", ondelete="CASCADE"), nullable=False, comment="Whose it is."
    )


sessions = Table(
    "sessions",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of the secret in the cookie."),
    _person(),
    Column("created_at", Moment, nullable=False, comment="The login."),
    Column("seen_at", Moment, nullable=False, comment="A request, of the last minute or the last one."),
    Column("authenticated_at", Moment, nullable=False, comment="When the person proved who they are."),
    Column("expires_at", Moment, nullable=False, comment="Not valid from then on."),
    Column("logout_hint", Text, comment="The ID token of the login, to log out at the identity provider."),
    Index("ix_sessions_person", "person"),
    Index("ix_sessions_expires_at", "expires_at"),
)

person_invitations = Table(
    "person_invitations",
    metadata,
    Column("id", Text, primary_key=True, comment="In the path of the link; no secret."),
    _person(),
    Column("secret_hash", LargeBinary, nullable=False, comment="SHA-256 of the secret in the link."),
    Column("code_hash", LargeBinary, nullable=False, comment="scrypt of the code for pages without script."),
    Column("tries", SmallInteger, nullable=False, server_default=text("0"), comment="Wrong codes so far."),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("expires_at", Moment, nullable=False, comment="Not valid from then on."),
    Index("ix_person_invitations_person", "person"),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", LargeBinary, primary_key=True, comment="Credential id (WebAuthn)."),
    _person(),
    Column("public_key", LargeBinary, nullable=False, comment="As COSE_Key."),
    Column(
        "sign_count", BigInteger, nullable=False, comment="Counter of the authenticator at the last login."
    ),
    Column("name", Text, nullable=False, comment="What the person calls it."),
    Column("transports", ARRAY(Text), nullable=False, server_default=text("'{}'"), comment="Hints."),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("used_at", Moment, comment="The last login with it."),
    Index("ix_passkeys_person", "person"),
)

login_states = Table(
    "login_states",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of the state that the browser has."),
    Column("kind", Text, nullable=False, comment="The kind of login that it is a state of."),
    Column("data", LargeBinary, nullable=False, comment="JSON: nonce, verifier, challenge, where to go on."),
    Column("expires_at", Moment, nullable=False, comment="Not valid from then on."),
    Index("ix_login_states_expires_at", "expires_at"),
)

calendar_addresses = Table(
    "calendar_addresses",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of the secret in the address."),
    _person(),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("used_at", Moment, comment="The day of the last request."),
    Index("ix_calendar_addresses_person", "person"),
)
