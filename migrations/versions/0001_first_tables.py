"""The first tables.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# French that ignores accents and knows stems; everything else without accents, as it stands.
SEARCH = (
    "CREATE EXTENSION IF NOT EXISTS unaccent",
    "CREATE TEXT SEARCH CONFIGURATION federation_french (COPY = french)",
    "ALTER TEXT SEARCH CONFIGURATION federation_french"
    " ALTER MAPPING FOR hword, hword_part, word WITH unaccent, french_stem",
    "CREATE TEXT SEARCH CONFIGURATION federation_simple (COPY = simple)",
    "ALTER TEXT SEARCH CONFIGURATION federation_simple"
    " ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple",
)


def upgrade() -> None:
    for statement in SEARCH:
        op.execute(statement)
    op.create_table(
        "assertions",
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="SHA-256 of client and jti."),
        sa.Column(
            "expires_at", sa.DateTime(timezone=True), nullable=False, comment="It may be forgotten after."
        ),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_assertions")),
    )
    op.create_index(op.f("ix_assertions_expires_at"), "assertions", ["expires_at"], unique=False)
    op.create_table(
        "clients",
        sa.Column("id", sa.Text(), nullable=False, comment="OAuth2 client_id."),
        sa.Column("name", sa.Text(), nullable=False, comment="What the administrator calls it."),
        sa.Column(
            "secret_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the secret, 256 random bits."
        ),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False, comment="What it may ask for."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True, comment="When it was cut off."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
    )
    op.create_index(
        "uq_clients_name", "clients", ["name"], unique=True, postgresql_where=sa.text("revoked_at is null")
    )
    op.create_table(
        "feeds",
        sa.Column(
            "id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="Stands for (origin, audience).",
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="The operator that writes it."),
        sa.Column(
            "audience", sa.Text(), nullable=False, comment="public, federation or a group of the origin."
        ),
        sa.Column(
            "epoch", sa.Text(), nullable=True, comment="The origin's epoch; null before a first contact."
        ),
        sa.Column(
            "head",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Own feeds: number of the last entry. Others: number up to which it was taken.",
        ),
        sa.Column(
            "live",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Records that are no tombstones.",
        ),
        sa.Column(
            "retained_from",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Cursors before it expire.",
        ),
        sa.Column(
            "remote_head",
            sa.BigInteger(),
            nullable=True,
            comment="Others: the number the origin last told as its head.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feeds")),
        sa.UniqueConstraint("origin", "audience", name=op.f("uq_feeds_origin_audience")),
    )
    op.create_table(
        "keys",
        sa.Column("kid", sa.Text(), nullable=False, comment="RFC 7638 thumbprint."),
        sa.Column(
            "jwk",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The private key (RFC 7517). Backups hold it: keep them safe.",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_keys")),
    )
    op.create_table(
        "node",
        sa.Column(
            "one", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="There is one row."
        ),
        sa.Column("operator", sa.Text(), nullable=False, comment="Whose node this database belongs to."),
        sa.Column(
            "epoch", sa.Text(), nullable=False, comment="Minted with the database; part of every cursor."
        ),
        sa.Column(
            "arrival",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Number of the last change held here, of any origin. Its row is the lock of numbering.",
        ),
        sa.Column(
            "trust",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Counts changes of clients and peers: processes forget what they know of tokens.",
        ),
        sa.Column(
            "minted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.CheckConstraint("one", name=op.f("ck_node_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_node")),
    )
    op.create_table(
        "peers",
        sa.Column("operator", sa.Text(), nullable=False, comment="Its operator's id."),
        sa.Column("url", sa.Text(), nullable=False, comment="Base URL of its node."),
        sa.Column("name", sa.Text(), nullable=False, comment="Name of its operator, as its node says."),
        sa.Column("state", sa.Text(), nullable=False, comment="active or suspended."),
        sa.Column(
            "keys", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="Its public JWK set."
        ),
        sa.Column(
            "thumbprint",
            sa.Text(),
            nullable=False,
            comment="RFC 7638 thumbprint that an administrator confirmed.",
        ),
        sa.Column(
            "added_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.Column(
            "contacted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it last answered as it should.",
        ),
        sa.Column(
            "failures",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Failed attempts in a row.",
        ),
        sa.Column("failure", sa.Text(), nullable=True, comment="Why the last attempt failed."),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True, comment="Not before."),
        sa.PrimaryKeyConstraint("operator", name=op.f("pk_peers")),
        sa.UniqueConstraint("url", name=op.f("uq_peers_url")),
    )
    op.create_table(
        "records",
        sa.Column(
            "type", sa.Text(), nullable=False, comment="Type; it may be one this version does not know."
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="The operator that writes it."),
        sa.Column("key", sa.Text(), nullable=False, comment="The origin's key."),
        sa.Column("feed", sa.Integer(), nullable=True, comment="The feed it is in; null for TLP:RED."),
        sa.Column("seq", sa.BigInteger(), nullable=True, comment="Its number in the feed, given at commit."),
        sa.Column(
            "arrived", sa.BigInteger(), nullable=False, comment="Its number among all changes held here."
        ),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="1, 2, 3..."),
        sa.Column("tlp", sa.Text(), nullable=False, comment="TLP 2.0 label."),
        sa.Column(
            "audience",
            sa.Text(),
            nullable=False,
            comment="public, federation, private or a group of the origin.",
        ),
        sa.Column("retracted", sa.Boolean(), nullable=False, comment="Whether it is a tombstone."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="As in the document."),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, comment="As in the document."),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the document."),
        sa.Column("document", sa.LargeBinary(), nullable=False, comment="Canonical bytes; never re-encoded."),
        sa.Column(
            "facets",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="type.filter=value: what lists filter on.",
        ),
        sa.Column(
            "beneficiaries",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="scheme:value of the bodies served.",
        ),
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            nullable=False,
            comment="Words, stemmed in French, without accents.",
        ),
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], name=op.f("fk_records_feed")),
        sa.PrimaryKeyConstraint("type", "origin", "key", name=op.f("pk_records")),
    )
    op.create_index(
        "ix_records_found",
        "records",
        ["facets", "beneficiaries", "search"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("not retracted"),
    )
    op.create_index(
        "ix_records_listed",
        "records",
        ["type", "updated_at", "origin", "key"],
        unique=False,
        postgresql_where=sa.text("not retracted"),
    )
    op.create_index(
        "ix_records_listed_public",
        "records",
        ["type", "updated_at", "origin", "key"],
        unique=False,
        postgresql_where=sa.text("not retracted and audience = 'public'"),
    )
    op.create_index("uq_records_arrived", "records", ["arrived"], unique=True)
    op.create_index("uq_records_feed_seq", "records", ["feed", "seq"], unique=True)
    op.create_table(
        "set_aside",
        sa.Column("feed", sa.Integer(), nullable=False, comment="The feed it came in."),
        sa.Column("type", sa.Text(), nullable=False, comment="Type the entry named."),
        sa.Column("key", sa.Text(), nullable=False, comment="Key the entry named."),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="Number of the entry."),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="Revision the entry named."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, in a word."),
        sa.Column("detail", sa.Text(), nullable=False, comment="Why, in a sentence. Never the content."),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False, comment="When."
        ),
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], name=op.f("fk_set_aside_feed")),
        sa.PrimaryKeyConstraint("feed", "type", "key", name=op.f("pk_set_aside")),
    )
    op.create_table(
        "withdrawals",
        sa.Column("feed", sa.Integer(), nullable=False, comment="The feed the record has left."),
        sa.Column("type", sa.Text(), nullable=False, comment="Type of the record."),
        sa.Column("key", sa.Text(), nullable=False, comment="Key of the record; its origin is the feed's."),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="Number of the withdrawal in the feed."),
        sa.Column(
            "arrived", sa.BigInteger(), nullable=False, comment="Its number among all changes held here."
        ),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="The revision with which it left."),
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], name=op.f("fk_withdrawals_feed")),
        sa.PrimaryKeyConstraint("feed", "type", "key", name=op.f("pk_withdrawals")),
        sa.UniqueConstraint("arrived", name=op.f("uq_withdrawals_arrived")),
        sa.UniqueConstraint("feed", "seq", name=op.f("uq_withdrawals_feed_seq")),
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
