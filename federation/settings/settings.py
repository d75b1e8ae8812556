"""The settings of a node and their defaults."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import msgspec

from federation.domain.claim_rule import ClaimRule
from federation.domain.quota import Quota

Network = IPv4Network | IPv6Network
RESERVED_SOCKETS = 64
"""Connections that requests and waits leave free: for health checks and administration."""
_QUOTA = Quota()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a node. Each member is read from the variable ``FEDERATION_`` and its name."""

    operator: str
    """Id of the operator, for ever: every record carries it."""
    url: str
    """Base URL at which others reach the node; issuer of its tokens."""
    name: str
    """The operator's name, for people."""
    data_dir: Path
    """Where the embedded PostgreSQL keeps its data, when no database is named."""
    database_url: str | None = None
    """``postgresql://…``; without it the node runs its own PostgreSQL."""
    host: str = "127.0.0.1"
    """Address the API listens on."""
    port: int = 8470
    """Port the API listens on."""
    connections: int = 10
    """Database connections of one process, at most."""
    ca_file: Path | None = None
    """Authorities (PEM) that certificates of peers and webhooks may be of, beside the system's."""
    log_level: str = "INFO"
    smtp_url: str | None = None
    """``smtps://user@host:465``: the mail server for alerts; without it none are sent by e-mail."""
    smtp_password_file: Path | None = None
    """File that holds the password of the URL's user, and nothing else."""
    smtp_ca_file: Path | None = None
    """Authorities (PEM) that the mail server's certificate is held against, instead of the system's."""
    mail_from: str | None = None
    """Mailbox that alerts are sent from."""
    rate: int = 200
    """Requests a second of one client or peer, at most; 0 for no limit."""
    rate_anonymous: int = 50
    """Requests a second of one address without a token, at most; 0 for no limit that goes by addresses."""
    requests: int = 384
    """Requests under way in one process, at most, beside those that wait."""
    requests_per_caller: int = 128
    """The same of one client, peer or address."""
    waits: int = 512
    """Requests that wait for changes, and open streams, of one process, at most."""
    waits_per_caller: int = 32
    """The same of one client or peer."""
    sockets: int = 1_024
    """Connections to the API of one process; beyond them, idle ones are closed."""
    sockets_per_address: int = 256
    """The same of one address that is no proxy."""
    drain_seconds: int = 5
    """Seconds that a process goes on serving after SIGTERM, while it reports that it is not ready."""
    tombstones_days: int = 90
    """Days that tombstones and withdrawals are kept: a peer that is away for longer compares everything."""
    quota_records: int = _QUOTA.records
    """Records of one peer that are stored, with tombstones, unless it has bounds of its own."""
    quota_mebibytes: int = _QUOTA.mebibytes
    """Mebibytes of their documents."""
    quota_feeds: int = _QUOTA.feeds
    """Feeds of one peer."""
    quota_rejected: int = _QUOTA.rejected
    """Rejected entries of one peer."""
    quota_entries: int = _QUOTA.entries
    """Entries of one peer within an hour."""
    alerts_an_hour: int = 20
    """Alerts of one origin that a subscription gets one by one within an hour; a digest has the others."""
    proxies: tuple[Network, ...] = ()
    """Where the proxies are whose ``X-Forwarded-For`` is believed."""
    time_zone: str = "Europe/Paris"
    """Time zone in which pages show moments, by its name in the IANA database."""
    texts_dir: Path | None = None
    """Directory with the operator's own texts of pages: ``accessibility.fr.md``, ``legal.fr.md``."""
    oidc_issuer: str | None = None
    """Issuer of the identity provider by which people log in (OpenID Connect); without it none is used."""
    oidc_client_id: str | None = None
    """Id of this node as a client of it."""
    oidc_secret_file: Path | None = None
    """File that holds the secret of that client, and nothing else."""
    oidc_scopes: str = "openid profile"
    """Scopes that are asked for, separated by spaces."""
    oidc_name: str | None = None
    """Name of the identity provider on the login page."""
    oidc_rules: tuple[ClaimRule, ...] = ()
    """Roles of people by a claim; without a rule only those are let in who were invited."""
    oidc_private: bool = False
    """The identity provider may be at an address that is not public."""
    demo_links: bool = False
    """Login links of the demonstration hold: at a plain http address of the loopback interface only."""
    security_contact: str | None = None
    """``mailto:`` or ``https:`` URL for reports of weaknesses, shown in ``/.well-known/security.txt``."""

    @property
    def quota(self) -> Quota:
        """The bounds of each peer that has none of its own."""
        return Quota(
            records=self.quota_records,
            mebibytes=self.quota_mebibytes,
            feeds=self.quota_feeds,
            rejected=self.quota_rejected,
            entries=self.quota_entries,
        )
