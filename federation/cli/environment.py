"""The variables that the help of the command line lists."""

from __future__ import annotations

ENVIRONMENT = """
Settings are read from the environment:

\b
  FEDERATION_OPERATOR      id of the operator, such as arnia (needed; for ever)
  FEDERATION_NAME          its name, for people (the id)
  FEDERATION_URL           base URL at which others reach the node (http://127.0.0.1:PORT)
  FEDERATION_DATA_DIR      where the node's own PostgreSQL keeps its data (./federation-data)
  FEDERATION_DATABASE_URL  postgresql://... of a PostgreSQL >= 15, instead of the node's own
  FEDERATION_HOST          address the API listens on (127.0.0.1)
  FEDERATION_PORT          port the API listens on (8470)
  FEDERATION_CONNECTIONS   database connections of a process, at most (10)
  FEDERATION_RATE          requests a second of one client or peer, 0 for no limit (200)
  FEDERATION_RATE_ANONYMOUS  the same of one address without a token (50)
  FEDERATION_REQUESTS      requests under way in a process, at most (384)
  FEDERATION_REQUESTS_PER_CALLER  the same of one client, peer or address (128)
  FEDERATION_WAITS         waits and open streams of a process, at most (512)
  FEDERATION_WAITS_PER_CALLER  the same of one client or peer (32)
  FEDERATION_SOCKETS       connections to the API of a process; beyond them idle ones are closed (1024)
  FEDERATION_SOCKETS_PER_ADDRESS  the same of one address that is no proxy (256)
  FEDERATION_DRAIN_SECONDS  seconds to serve on after SIGTERM, with a database of yours (5)
  FEDERATION_TOMBSTONES_DAYS  days that deletions are kept for peers that are away (90)
  FEDERATION_QUOTA_RECORDS  records of one peer that are stored, with tombstones (1000000)
  FEDERATION_QUOTA_MEBIBYTES  mebibytes of their documents (8192)
  FEDERATION_QUOTA_FEEDS   feeds of one peer (200)
  FEDERATION_QUOTA_REJECTED  rejected entries of one peer (10000)
  FEDERATION_QUOTA_ENTRIES  entries of one peer within an hour (1000000)
  FEDERATION_ALERTS_AN_HOUR  alerts of one operator that a receiver gets one by one (20)
  FEDERATION_PROXIES       proxies whose X-Forwarded-For is believed: addresses, networks (none)
  FEDERATION_TIME_ZONE     time zone of the moments on pages (Europe/Paris)
  FEDERATION_OIDC_ISSUER   identity provider by which people log in (none)
  FEDERATION_OIDC_CLIENT_ID  id of this node there
  FEDERATION_OIDC_SECRET_FILE  file with the secret of that client
  FEDERATION_OIDC_SCOPES   scopes that are asked for (openid profile)
  FEDERATION_OIDC_NAME     name of the identity provider on the login page (its host)
  FEDERATION_OIDC_RULES    roles by claim: reader: groups=federation; editor: ... (none)
  FEDERATION_OIDC_PRIVATE  yes: it may be at an address that is not public (no)
  FEDERATION_DEMO_LINKS    yes: login links of the demonstration hold, over loopback only (no)
  FEDERATION_SECURITY_CONTACT  mailto: or https: URL for /.well-known/security.txt (none)
  FEDERATION_CA_FILE       authorities (PEM) of peers' certificates, beside those of the system
  FEDERATION_LOG_LEVEL     DEBUG, INFO, WARNING or ERROR (INFO)
  FEDERATION_SMTP_URL      mail server for alerts: smtps://user@host:465, or smtp:// with STARTTLS (none)
  FEDERATION_SMTP_PASSWORD_FILE  file with the password of that user
  FEDERATION_SMTP_CA_FILE  authorities of its certificate, in place of the system's
  FEDERATION_MAIL_FROM     mailbox that alerts are sent from
"""
