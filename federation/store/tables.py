"""The tables, as alembic and the statements see them. Each column says what it holds."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Moment = DateTime(timezone=True)

node = Table(
    "node",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true"), comment="There is one row."),
    Column("operator", Text, nullable=False, comment="Whose node this database belongs to."),
    Column("epoch", Text, nullable=False, comment="Minted with the database; part of every cursor."),
    Column(
        "arrival",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Number of the last change held here, of any origin. Its row is the lock of numbering.",
    ),
    Column(
        "trust",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Counts changes of clients and peers: processes forget what they know of tokens.",
    ),
    Column("minted_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("system_id", Text, comment="PostgreSQL's system identifier and the database's oid, then."),
    Column("timeline", BigInteger, comment="PostgreSQL's timeline, then."),
    Column(
        "proved",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Counts checkpoints signed here: who waits at the heads is told of them.",
    ),
    Column(
        "published",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Counts changes of the node's own records: who waits at the heads is told of them.",
    ),
    Column(
        "arrivals_from",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Cursors in the order of arrival before it have missed tombstones.",
    ),
    Column(
        "public_outages",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="True: outages and maintenance are CLEAR when their writer names no label; else GREEN.",
    ),
    CheckConstraint("one", name="one"),
)

feeds = Table(
    "feeds",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True, comment="Stands for (origin, audience)."),
    Column("origin", Text, nullable=False, comment="The operator that writes it."),
    Column("audience", Text, nullable=False, comment="public, federation or a group of the origin."),
    Column("epoch", Text, comment="The origin's epoch; null before a first contact."),
    Column(
        "head",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Own feeds: number of the last entry. Others: number up to which it was taken.",
    ),
    Column(
        "live",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Records that are no tombstones.",
    ),
    Column(
        "retained_from",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Cursors before it expire.",
    ),
    Column("remote_head", BigInteger, comment="Others: the number the origin last told as its head."),
    Column(
        "records",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Others: stored records, with tombstones. Counts towards the quota of the peer.",
    ),
    Column(
        "bytes",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Others: bytes of their documents. Counts towards the quota of the peer.",
    ),
    UniqueConstraint("origin", "audience"),
)

records = Table(
    "records",
    metadata,
    Column("type", Text, primary_key=True, comment="Type; it may be one this version does not know."),
    Column("origin", Text, primary_key=True, comment="The operator that writes it."),
    Column("key", Text, primary_key=True, comment="The origin's key."),
    # (No foreign key: to look each feed up again costs a twentieth of a first sync. A feed that is deleted
    # has no record, and what comes of it later finds no feed to move on.)
    Column("feed", Integer, comment="The feed it is in; null for TLP:RED."),
    Column("seq", BigInteger, comment="Its number in the feed, given at commit."),
    Column("arrived", BigInteger, nullable=False, comment="Its number among all changes held here."),
    Column("revision", BigInteger, nullable=False, comment="1, 2, 3..."),
    Column("tlp", Text, nullable=False, comment="TLP 2.0 label."),
    Column("audience", Text, nullable=False, comment="public, federation, private or a group of the origin."),
    Column("retracted", Boolean, nullable=False, comment="Whether it is a tombstone."),
    Column("created_at", Moment, nullable=False, comment="As in the document."),
    Column("updated_at", Moment, nullable=False, comment="As in the document."),
    Column("hash", LargeBinary, nullable=False, comment="SHA-256 of the document."),
    Column("document", LargeBinary, nullable=False, comment="Canonical bytes; never re-encoded."),
    Column("facets", ARRAY(Text), nullable=False, comment="type.filter=value: what lists filter on."),
    Column("beneficiaries", ARRAY(Text), nullable=False, comment="scheme:value of the bodies served."),
    Column("search", TSVECTOR, nullable=False, comment="Words, stemmed in French, without accents."),
    Column(
        "bucket",
        SmallInteger,
        Computed("get_byte(sha256(((type || '/') || key)::bytea), 0)", persisted=True),
        nullable=False,
        comment="Bucket of the feed's digest: the first byte of SHA-256(type/key).",
    ),
    Column(
        "not_understood",
        Text,
        comment="Others: why this version does not understand the content; null when it does.",
    ),
    # The numbers of one feed are dense and unique: two records at one place would hide one of them.
    Index("uq_records_feed_seq", "feed", "seq", unique=True),
    Index("uq_records_arrived", "arrived", unique=True),
    # Lists, newest first, of what is understood. Without a token only CLEAR records are listed; where nearly
    # all others are GREEN (deployments), walking the first index for them would read the whole table.
    Index(
        "ix_records_listed",
        "type",
        "updated_at",
        "origin",
        "key",
        postgresql_where=text("not retracted and not_understood is null"),
    ),
    Index(
        "ix_records_listed_public",
        "type",
        "updated_at",
        "origin",
        "key",
        postgresql_where=text("not retracted and not_understood is null and audience = 'public'"),
    ),
    # To count them, and to read them again, without a look at any other record.
    Index(
        "ix_records_not_understood",
        "type",
        "origin",
        "key",
        postgresql_include=["audience", "updated_at"],
        postgresql_where=text("not_understood is not null"),
    ),
    # With all that the leaves of a bucket say, so that they are read side by side, and not each in its row.
    Index(
        "ix_records_bucket",
        "feed",
        "bucket",
        postgresql_include=["type", "key", "revision", "retracted", "hash", "seq"],
    ),
    Index("ix_records_tombstones", "feed", "seq", postgresql_where=text("retracted")),
    # One index for all filters and for search, so that a write maintains one pending list.
    Index(
        "ix_records_found",
        "facets",
        "beneficiaries",
        "search",
        postgresql_using="gin",
        postgresql_where=text("not retracted"),
    ),
)

withdrawals = Table(
    "withdrawals",
    metadata,
    Column(
        "feed", Integer, ForeignKey("feeds.id"), primary_key=True, comment="The feed the record has left."
    ),
    Column("type", Text, primary_key=True, comment="Type of the record."),
    Column("key", Text, primary_key=True, comment="Key of the record; its origin is the feed's."),
    Column("seq", BigInteger, nullable=False, comment="Number of the withdrawal in the feed."),
    Column("arrived", BigInteger, nullable=False, comment="Its number among all changes held here."),
    Column("revision", BigInteger, nullable=False, comment="The revision with which it left."),
    Column("at", Moment, nullable=False, server_default=text("now()"), comment="When it was noted here."),
    UniqueConstraint("feed", "seq"),
    UniqueConstraint("arrived"),
)

rejected_entries = Table(
    "rejected_entries",
    metadata,
    Column("feed", Integer, ForeignKey("feeds.id"), primary_key=True, comment="The feed it came in."),
    Column("type", Text, primary_key=True, comment="Type the entry named."),
    Column("key", Text, primary_key=True, comment="Key the entry named."),
    Column("seq", BigInteger, nullable=False, comment="Number of the entry."),
    Column("revision", BigInteger, nullable=False, comment="Revision the entry named."),
    Column("reason", Text, nullable=False, comment="Why, in a word."),
    Column("detail", Text, nullable=False, comment="Why, in a sentence. Never the content."),
    Column("at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column(
        "reported",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Whether the origin has been told.",
    ),
)

digests = Table(
    "digests",
    metadata,
    Column("feed", Integer, ForeignKey("feeds.id"), primary_key=True, comment="Whose digest it is."),
    Column("seq", BigInteger, nullable=False, comment="Number of the feed up to which it was made."),
    Column("retained_from", BigInteger, nullable=False, comment="Tombstones up to it are not in it."),
    Column("count", BigInteger, nullable=False, comment="Records that are no tombstones."),
    Column("buckets", LargeBinary, nullable=False, comment="256 SHA-256 digests, one after the other."),
    Column(
        "marked",
        ARRAY(SmallInteger),
        nullable=False,
        server_default=text("'{}'"),
        comment="Buckets that changed without a new number of the feed.",
    ),
    Column("checkpoint", Text, comment="JWS of the origin over just this state; null when there is none."),
    Column("signed_at", Moment, comment="When the origin signed it."),
    Column("expires_at", Moment, comment="Until when it proves that the state is fresh."),
)

copies = Table(
    "copies",
    metadata,
    Column("feed", Integer, ForeignKey("feeds.id"), primary_key=True, comment="Another operator's feed."),
    Column("compared", Text, comment="verified or diverged, as the last comparison found; null before one."),
    Column("detail", Text, comment="Why it has diverged, in a sentence."),
    Column("tried", Text, comment="Roots, theirs and ours, that a repair has left unequal."),
    Column("tried_at", Moment, comment="When."),
    Column("verified_seq", BigInteger, comment="Number at which it was last found equal."),
    Column("verified_at", Moment, comment="When the origin signed what it was last found equal to."),
    Column("expires_at", Moment, comment="Until when that proves that the copy is fresh."),
    Column("newest", Moment, comment="Signing time of the newest checkpoint that came: none older is taken."),
    Column("via", Text, comment="The peer that the last entries came from; null for the origin itself."),
    Column("withdrawn_epoch", Text, comment="Epoch of what was withdrawn and dropped here."),
    Column("withdrawn", BigInteger, comment="Number of the last withdrawal that was carried out."),
    Column(
        "purged",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Whether all of it was dropped, since it may not be read any more.",
    ),
    Column(
        "receipted",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="Whether the origin has our receipt for that.",
    ),
    Column("paused", Text, comment="Why nothing more is taken until an administrator confirms."),
    Column("paused_at", Moment, comment="Since when."),
    Column(
        "confirmed",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Whether an administrator has confirmed the removals that are to come.",
    ),
    Column("beyond_quota", Text, comment="The bound that its peer would go beyond; null within its quota."),
    Column("beyond_reason", Text, comment="How far, in a sentence."),
    Column("beyond_at", Moment, comment="Since when."),
    Column(
        "excludes",
        ARRAY(Text),
        nullable=False,
        server_default=text("'{}'"),
        comment="Operators that the origin has signed that they may not see this feed.",
    ),
    Column(
        "unsigned_since",
        Moment,
        comment="Since when entries lack a checkpoint that should have come; null where none does.",
    ),
    # Read for each request of a peer; most origins exclude nobody.
    Index("ix_copies_excluding", "feed", postgresql_where=text("excludes <> '{}'")),
)

receipts = Table(
    "receipts",
    metadata,
    Column("feed", Integer, ForeignKey("feeds.id"), primary_key=True, comment="A feed of our own."),
    Column("operator", Text, primary_key=True, comment="The peer that signed it."),
    Column("epoch", Text, nullable=False, comment="Epoch of the number."),
    Column("seq", BigInteger, nullable=False, comment="It has carried out every withdrawal up to it."),
    Column("purged", Boolean, nullable=False, comment="It has dropped the whole feed."),
    Column("jws", Text, nullable=False, comment="The receipt itself."),
    Column("at", Moment, nullable=False, server_default=text("now()"), comment="When it came."),
)

departures = Table(
    "departures",
    metadata,
    Column("feed", Integer, ForeignKey("feeds.id"), primary_key=True, comment="A feed of our own."),
    Column("operator", Text, primary_key=True, comment="The peer that was taken out of its audience."),
    Column("at", Moment, nullable=False, server_default=text("now()"), comment="When."),
)

feedback = Table(
    "feedback",
    metadata,
    Column("operator", Text, primary_key=True, comment="The peer that could not take the entry."),
    Column("feed", Integer, ForeignKey("feeds.id"), primary_key=True, comment="A feed of our own."),
    Column("type", Text, primary_key=True, comment="Type the entry named."),
    Column("key", Text, primary_key=True, comment="Key the entry named."),
    Column("seq", BigInteger, nullable=False, comment="Number of the entry."),
    Column("revision", BigInteger, nullable=False, comment="Revision the entry named."),
    Column("reason", Text, nullable=False, comment="Why, in a word."),
    Column("detail", Text, nullable=False, comment="Why, in a sentence."),
    Column("at", Moment, nullable=False, server_default=text("now()"), comment="When it was told."),
)

peers = Table(
    "peers",
    metadata,
    Column("operator", Text, primary_key=True, comment="Its operator's id."),
    Column("url", Text, nullable=False, unique=True, comment="Base URL of its node."),
    Column("name", Text, nullable=False, comment="Name of its operator, as its node says."),
    Column("state", Text, nullable=False, comment="pending, active, suspended or left."),
    Column("keys", JSONB, nullable=False, comment="Its public JWK set."),
    Column(
        "thumbprint", Text, nullable=False, comment="RFC 7638 thumbprint that an administrator confirmed."
    ),
    Column("added_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("contacted_at", Moment, comment="When it last answered as it should."),
    Column(
        "failures", Integer, nullable=False, server_default=text("0"), comment="Failed attempts in a row."
    ),
    Column("failure", Text, comment="Why the last attempt failed."),
    Column("next_try_at", Moment, comment="Not before."),
    Column(
        "private",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Whether addresses that are not public (loopback, private ranges) are allowed.",
    ),
    Column("keys_read_at", Moment, comment="When its key set was last asked for."),
    Column(
        "clock_difference",
        Integer,
        comment="Seconds that its clock was ahead of ours when it last answered; null where they agreed.",
    ),
    Column(
        "quota",
        JSONB,
        nullable=False,
        server_default=text("'{}'"),
        comment="Bounds of its own, by name, in place of those of the node.",
    ),
)

exclusions = Table(
    "exclusions",
    metadata,
    Column(
        "operator",
        Text,
        primary_key=True,
        comment="Withheld this node's GREEN records, at every member; it need be no peer.",
    ),
    Column("at", Moment, nullable=False, server_default=text("now()"), comment="Since when."),
)

invitations = Table(
    "invitations",
    metadata,
    Column("secret_hash", LargeBinary, primary_key=True, comment="SHA-256 of the secret, 256 random bits."),
    Column("note", Text, nullable=False, comment="Whom it is for, in the administrator's words."),
    Column(
        "private",
        Boolean,
        nullable=False,
        comment="Whether who joins with it may have addresses that are not public.",
    ),
    Column("used", Boolean, nullable=False, server_default=text("false"), comment="It is for one use."),
    Column("used_by", Text, comment="The operator that joined with it."),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("expires_at", Moment, nullable=False, comment="Not valid after."),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Text, primary_key=True, comment="OAuth2 client_id."),
    Column("name", Text, nullable=False, comment="What the administrator calls it."),
    Column("secret_hash", LargeBinary, nullable=False, comment="SHA-256 of the secret, 256 random bits."),
    Column(
        "former_secret_hash",
        LargeBinary,
        comment="The secret before it, which still holds until the next change or until it is dropped.",
    ),
    Column("scopes", ARRAY(Text), nullable=False, comment="What it may ask for."),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column("revoked_at", Moment, comment="When it was cut off."),
    # A name can be used again once its client is revoked.
    Index("uq_clients_name", "name", unique=True, postgresql_where=text("revoked_at is null")),
)

keys = Table(
    "keys",
    metadata,
    Column("kid", Text, primary_key=True, comment="RFC 7638 thumbprint."),
    Column(
        "jwk", JSONB, nullable=False, comment="The private key (RFC 7517). Backups hold it: keep them safe."
    ),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column(
        "use_from",
        Moment,
        nullable=False,
        server_default=text("now()"),
        comment="It signs from then on; it is published before.",
    ),
    Column("endorsement", Text, comment="JWS of the key before it over this one; null for the first."),
    Column(
        "retired",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Nothing it signed holds any more; its private part has been dropped.",
    ),
)

openpgp_keys = Table(
    "openpgp_keys",
    metadata,
    Column("fingerprint", Text, primary_key=True, comment="In capital hexadecimal digits."),
    Column("certificate", LargeBinary, nullable=False, comment="The public part, in ASCII armour."),
    Column(
        "secret",
        LargeBinary,
        comment="The private part, of the key that signs only. Backups hold it: keep them safe.",
    ),
    Column("revocation", LargeBinary, nullable=False, comment="Made with the key; published if needed."),
    Column("created_at", Moment, nullable=False, comment="When."),
    Column("revoked_at", Moment, comment="When its revocation was published; null before."),
)

assertions = Table(
    "assertions",
    metadata,
    Column("fingerprint", LargeBinary, primary_key=True, comment="SHA-256 of client and jti."),
    Column("expires_at", Moment, nullable=False, index=True, comment="It may be forgotten after."),
)

proofs = Table(
    "proofs",
    metadata,
    Column("fingerprint", LargeBinary, primary_key=True, comment="SHA-256 of a DPoP proof's key and jti."),
    Column("expires_at", Moment, nullable=False, index=True, comment="It may be forgotten after."),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("fingerprint", LargeBinary, primary_key=True, comment="SHA-256 of the token."),
    Column("expires_at", Moment, nullable=False, index=True, comment="It may be forgotten after."),
)

audit = Table(
    "audit",
    metadata,
    Column("n", BigInteger, primary_key=True, autoincrement=False, comment="1, 2, 3... without a gap."),
    Column("entry", LargeBinary, nullable=False, comment="Canonical JSON: what happened, when, by whom."),
    Column("hash", LargeBinary, nullable=False, comment="SHA-256 of the hash before it and the entry."),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("n", BigInteger, primary_key=True, autoincrement=False, comment="The last entry it covers."),
    Column("jws", Text, nullable=False, comment="Signed by the node: n, hash and time."),
)

search_index = Table(
    "search_index",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true"), comment="There is one row."),
    Column(
        "version",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="Of the words and filters of the records; negative while they are made anew for it.",
    ),
    Column(
        "position",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Records up to this local sequence have been made anew.",
    ),
    Column(
        "until",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Records above this local sequence were written with the words and filters of this version.",
    ),
    Column(
        "learned",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="The words of records up to this local sequence are in search_words.",
    ),
    CheckConstraint("one", name="one"),
)

search_words = Table(
    "search_words",
    metadata,
    Column("word", Text, primary_key=True, comment="A word of some record, without accents."),
    Column("written", Text, nullable=False, comment="The word as a record has it: what is suggested."),
    # Only where PostgreSQL has pg_trgm: without it nothing is suggested.
    Index("ix_search_words_similar", "word", postgresql_using="gin", postgresql_ops={"word": "gin_trgm_ops"}),
)

exposure = Table(
    "exposure",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true"), comment="There is one row."),
    Column(
        "arrival",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Arrivals up to this number are in the groups. Its row is the lock of bringing in.",
    ),
    Column(
        "register",
        Text,
        nullable=False,
        server_default=text("''"),
        comment="Edition of the register of communes that the numbers are of.",
    ),
    Column(
        "begun_at",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="From where withdrawals were kept when the groups were begun: what left is in none.",
    ),
    CheckConstraint("one", name="one"),
)

deployed_groups = Table(
    "deployed_groups",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True, comment="Stands for the group."),
    Column("origin", Text, nullable=False, comment="The operator of these deployments."),
    Column("audience", Text, nullable=False, comment="As that of the records: who may know of the group."),
    Column("solution", Text, nullable=False, comment="origin/key of the solution."),
    Column("version", Text, nullable=False, comment="As the deployments say; empty for none."),
    Column("version_state", Text, nullable=False, comment="As the deployments say; empty for none."),
    Column("in_use", Boolean, nullable=False, comment="False for planned and retired deployments."),
    Column("deployments", Integer, nullable=False, server_default=text("0"), comment="How many."),
    Column("counted", BigInteger, nullable=False, server_default=text("0"), comment="Bodies told as number."),
    Column("areas", Integer, nullable=False, server_default=text("0"), comment="Territories not known here."),
    Column(
        "bodies",
        LargeBinary,
        nullable=False,
        server_default=text("''"),
        comment="Set of bodies and territories covered: bit n of a little-endian number.",
    ),
    Column(
        "others",
        LargeBinary,
        nullable=False,
        server_default=text("''"),
        comment="Set of bodies that are not in the register, in the same form.",
    ),
    UniqueConstraint(
        "solution", "origin", "audience", "version", "version_state", "in_use", name="uq_deployed_groups_name"
    ),
    Index("ix_deployed_groups_origin", "origin"),
)

deployed_counts = Table(
    "deployed_counts",
    metadata,
    Column("grouped", Integer, primary_key=True, autoincrement=False, comment="The group."),
    Column(
        "part", Integer, primary_key=True, autoincrement=False, comment="Numbers without their last bits."
    ),
    Column(
        "counts",
        LargeBinary,
        nullable=False,
        comment="How many of the deployments cover each: numbers, then counts, each of four bytes.",
    ),
)

deployed = Table(
    "deployed",
    metadata,
    Column("origin", Text, primary_key=True, comment="The operator that writes the deployment."),
    Column("key", Text, primary_key=True, comment="Its key."),
    Column("grouped", Integer, nullable=False, comment="The group it is counted in."),
    Column("numbers", LargeBinary, nullable=False, comment="Whom it covers: numbers of four bytes."),
    Column("counted", BigInteger, nullable=False, comment="Bodies told as a number."),
    Column("areas", Integer, nullable=False, comment="Territories that are not known here."),
    Index("ix_deployed_grouped", "grouped", "origin", "key"),
)

bodies_elsewhere = Table(
    "bodies_elsewhere",
    metadata,
    Column("name", Text, primary_key=True, comment="scheme:value of a body that is in no register here."),
    Column("number", Integer, Identity(always=True), nullable=False, unique=True, comment="Its number."),
)

solution_identifiers = Table(
    "solution_identifiers",
    metadata,
    Column("origin", Text, primary_key=True, comment="The operator that writes the solution."),
    Column("key", Text, primary_key=True, comment="Its key."),
    Column("identifier", Text, primary_key=True, comment="What it says it is: a URI, or another solution."),
    Column("audience", Text, nullable=False, comment="As that of the record: who may know that it says so."),
    Index("ix_solution_identifiers_naming", "identifier", "origin", "audience", "key"),
)

deadlines = Table(
    "deadlines",
    metadata,
    Column("key", Text, primary_key=True, comment="The operator's own key."),
    Column("deadline", LargeBinary, nullable=False, comment="Canonical JSON. Never in a feed."),
    Column("updated_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7."),
    Column("events", ARRAY(Text), nullable=False, comment="What it is told of."),
    Column("webhook", Text, comment="URL, or null when it is told by e-mail."),
    Column("email", Text, comment="Mailbox, or null."),
    Column("secret", Text, nullable=False, comment="Signs webhooks (Standard Webhooks); kept to sign with."),
    Column("unanswered_hours", Integer, nullable=False, comment="Of incident.unanswered."),
    Column("private", Boolean, nullable=False, comment="Whether the webhook may be at a private address."),
    Column("active", Boolean, nullable=False, server_default=text("true"), comment="False after a 410."),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), comment="When."),
    Column(
        "person",
        Text,
        ForeignKey("people.id", ondelete="CASCADE"),
        comment="The person whose it is; null for the operator's.",
    ),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7; webhook-id of every attempt."),
    Column(
        "subscription",
        Text,
        ForeignKey("subscriptions.id", ondelete="CASCADE"),
        nullable=False,
        comment="Whose.",
    ),
    Column("name", Text, nullable=False, comment="The event; one alert of a name for each subscription."),
    Column("event", Text, nullable=False, comment="Its kind."),
    Column("subject", Text, nullable=False, comment="What it is about."),
    Column(
        "data", LargeBinary, nullable=False, comment="JSON: what is told. Above GREEN ids and links only."
    ),
    Column("at", Moment, nullable=False, comment="When it was noticed."),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="So far."),
    Column("next_try_at", Moment, comment="Not before; null when delivered or parked."),
    Column("delivered_at", Moment, comment="When it was taken."),
    Column("parked_at", Moment, comment="When it was given up."),
    Column("failure", Text, comment="Why the last attempt failed."),
    Column("origin", Text, comment="The operator it is about; null in alerts of earlier versions."),
    Column(
        "withheld",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Whether it was beyond the ceiling of its origin: only a digest counts it.",
    ),
    UniqueConstraint("subscription", "name"),
    Index("ix_alerts_due", "next_try_at", postgresql_where=text("next_try_at is not null")),
    Index("ix_alerts_at", "at"),
    Index("ix_alerts_parked", "at", postgresql_where=text("parked_at is not null")),
    Index("ix_alerts_origin", "origin", "subscription", "at"),
)

alert_floods = Table(
    "alert_floods",
    metadata,
    Column(
        "subscription",
        Text,
        ForeignKey("subscriptions.id", ondelete="CASCADE"),
        primary_key=True,
        comment="Whose alerts are withheld.",
    ),
    Column("origin", Text, primary_key=True, comment="The operator they are about."),
    Column("began_at", Moment, nullable=False, comment="When the first of them was withheld."),
    Column("last_at", Moment, nullable=False, comment="When the last of them was."),
    Column("withheld", BigInteger, nullable=False, comment="How many: the digest says so."),
)

affecting_incidents = Table(
    "affecting_incidents",
    metadata,
    Column(
        "incident",
        Text,
        primary_key=True,
        comment="An incident that affects the operator, or did: ORIGIN/KEY.",
    ),
    Column(
        "alert_name",
        Text,
        nullable=False,
        comment="Names its alerts; incidents of one vulnerability may share it.",
    ),
    Column(
        "episode", Integer, nullable=False, server_default=text("1"), comment="Counts from 1: it began anew."
    ),
    Column("exploited", Boolean, comment="Whether its alert knows it as exploited; null: not known."),
    Column("began_at", Moment, nullable=False, comment="When a scan found that it affects the operator."),
    Column("ended_at", Moment, comment="When it was over, or affected the operator no more; null: it lasts."),
    Column("mitigated_at", Moment, comment="When it was said to be mitigated; null: it is not."),
    Column(
        "through",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Local sequence of the last change that this row may rest on.",
    ),
)

alerting = Table(
    "alerting",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true"), comment="There is one row."),
    Column(
        "arrival",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Arrivals up to this number have made their alerts. Its row is the lock of making them.",
    ),
    CheckConstraint("one", name="one"),
)

read_advisories = Table(
    "read_advisories",
    metadata,
    Column("form", Text, primary_key=True, comment="cve, osv or csaf."),
    Column("sha256", LargeBinary, primary_key=True, comment="Of the advisory's bytes."),
    Column(
        "basis",
        LargeBinary,
        nullable=False,
        comment="Hash of the solutions, options and program that its outcome rests on.",
    ),
    Column("incidents", Integer, nullable=False, comment="Incidents made of it."),
    Column("skipped", Integer, nullable=False, comment="Vulnerabilities of it that were skipped."),
    Column("state", LargeBinary, nullable=False, comment="Hash of its incidents as they were then."),
)

record_sets = Table(
    "record_sets",
    metadata,
    Column("type", Text, primary_key=True, comment="Type of an own record."),
    Column("key", Text, primary_key=True, comment="Its key."),
    Column("name", Text, nullable=False, comment="The set under which it was uploaded last."),
    Index("ix_record_sets_name", "type", "name", "key"),
)

stored_answers = Table(
    "stored_answers",
    metadata,
    Column("caller", Text, primary_key=True, comment="The client that sent the request."),
    Column("operation", Text, primary_key=True, comment="Id of the operation."),
    Column("key", Text, primary_key=True, comment="Its Idempotency-Key."),
    Column("request_hash", LargeBinary, nullable=False, comment="SHA-256 of path, query and body."),
    Column("status", SmallInteger, nullable=False, comment="Status of the answer."),
    Column("headers", LargeBinary, nullable=False, comment="Its headers, as a JSON object."),
    Column("body", LargeBinary, comment="Its body; null where it has shown a secret, which is not stored."),
    Column("at", Moment, nullable=False, server_default=text("now()"), index=True, comment="When."),
)
