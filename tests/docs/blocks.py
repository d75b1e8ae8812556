"""The parts of the reference that are made from the code.

A page holds them between two comments; ``python -m tests.docs.blocks`` writes them anew, and
``test_reference.py`` fails when a page says something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from click.testing import CliRunner

from federation.api import caller, change_log, oauth, openapi, spool, upload_lines, uploads
from federation.api.portable import portable_pattern
from federation.api.problems import PROBLEMS
from federation.cli import advisories as advisories_command
from federation.cli import advisory_files, advisory_paths, main
from federation.domain import (
    alert,
    audit,
    audit_chain,
    canonical,
    checkpoint,
    copy,
    document,
    feed,
    peer,
    query,
    rejection_lines,
    repeat,
    values,
)
from federation.domain.content.incident import STATUSES, NewUpdate
from federation.domain.content.solution import THEMES
from federation.domain.document import Envelope
from federation.domain.draft import Draft
from federation.domain.exposure.reasons import REASONS, SETTLED_BY
from federation.domain.faults import FAULT_CODES, FAULT_MEANINGS
from federation.domain.formats.advisory import MAX_ADVISORY_BYTES
from federation.domain.messages import translated
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.domain.rules import RULES
from federation.domain.scopes import PEER_SCOPES, SCOPES
from federation.edge import limits as api_limits
from federation.edge import requests, token_buckets
from federation.node import (
    advisories,
    advisory_archives,
    alert_delivery,
    alert_scan,
    alerts,
    keys,
    previews,
    receipts,
    tokens,
    upload_plans,
)
from federation.node import node as node_module
from federation.node.alert_events import MAX_INCIDENT_AGE
from federation.node.copy_ages import STALE_AFTER_SECONDS
from federation.outbound import http, mail
from federation.server import bodies, connections, maintenance, serve
from federation.server.app import api
from federation.settings.environment import read
from federation.settings.settings import Settings
from federation.store import alerts as stored_alerts
from federation.store import deadlines as stored_deadlines
from federation.store import pools, read_advisories, rejected
from federation.store import receipts as store_receipts
from federation.sync import (
    contact_notes,
    follow,
    leaves,
    loop,
    peer_client,
    peer_follower,
    repair,
    unsigned_heads,
)
from federation.telemetry import Metrics
from tests.clients.catalogue import CLIENTS
from tests.clients.pages import page_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"<!-- from the code: ([a-z-]+) -->\n.*?<!-- end -->", re.DOTALL)


def written(page: str) -> str:
    """The page with every block as the code has it now."""
    return _BLOCK.sub(
        lambda found: f"<!-- from the code: {found[1]} -->\n{BLOCKS[found[1]]().strip()}\n<!-- end -->", page
    )


def names(page: str) -> list[str]:
    """The blocks of a page."""
    return _BLOCK.findall(page)


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(*texts: object) -> str:
    return ", ".join(f"`` {text} ``" if "`" in str(text) else f"`{text}`" for text in texts)


# The command line


def commands(
    group: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, by its words."""
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in sorted(group.list_commands(context)):
            if (inner := group.get_command(context, name)) is not None:
                yield from commands(inner, (*path, name))
    else:
        yield path, group


def help_of(*path: str) -> str:
    """What ``--help`` prints, less the settings, which have a page of their own."""
    result = CliRunner().invoke(main, [*path, "--help"], prog_name="federation", terminal_width=92)
    return result.output.partition("\n  Settings are read from the environment:")[0].strip()


def cli() -> str:
    parts = [f"```text\n{help_of()}\n```\n"]
    for path, _ in commands():
        parts.append(f"## federation {' '.join(path)}\n\n```text\n{help_of(*path)}\n```\n")
    return "\n".join(parts)


# Settings


_SETTINGS = {
    "operator": "The operator's id, for ever: it is in every record. Small letters, digits, dots, hyphens.",
    "url": "Base URL at which peers and clients reach the node. It is the issuer of its tokens, and what "
    "peers have registered, so it does not change lightly. https, except on the loopback interface.",
    "name": "The operator's name, for people.",
    "data_dir": "Where the node's own PostgreSQL keeps its data. Not used when a database is named.",
    "database_url": "`postgresql://user:password@host:port/database` of a PostgreSQL 15 or later, "
    "instead of the node's own.",
    "host": "Address the API listens on.",
    "port": "Port the API listens on, 1 to 65535.",
    "connections": "Database connections of one process, at most; 4 to 200.",
    "log_level": "`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
    "smtp_url": "The mail server for alerts: `smtps://user@mail.example.org:465` for TLS from the start, or "
    "`smtp://user@mail.example.org:587` for STARTTLS, which must succeed. `smtp+plain://127.0.0.1:25` is for "
    "a server on the same machine. Without a user nobody logs in. The password is in its file or, "
    "`%`-encoded, in the URL.",
    "smtp_password_file": "File that holds the password of that user, in one line; it is read at each login, "
    "so that a new one needs no restart.",
    "ca_file": "Authorities (PEM) that the certificates of peers and webhooks may be of, beside those of the "
    "system: for nodes behind an authority of your own.",
    "smtp_ca_file": "Authorities (PEM) that the certificate of the mail server is held against.",
    "mail_from": "The mailbox that alerts are sent from; needed with `FEDERATION_SMTP_URL`.",
    "rate": "Requests a second that one client or peer may make; for a moment twice as many. 0: no limit.",
    "rate_anonymous": "Requests a second without a token that one address may make (IPv6: the /64 around "
    "it); for a moment twice as many. 0: no limit that goes by addresses, on token requests neither.",
    "requests": "Requests under way in one process, at most, beside those that wait.",
    "requests_per_caller": "The same of one client, one peer, or one address without a token.",
    "waits": "Requests that wait for changes (`Prefer: wait`) and open streams of one process, at most.",
    "waits_per_caller": "The same of one client or peer.",
    "sockets": "Connections to the API of one process: at least `FEDERATION_REQUESTS` and `FEDERATION_WAITS` "
    "together and 64 more, which stay free for health checks and administrators. Beyond them, idle "
    "connections are closed.",
    "sockets_per_address": "The same of one address that is no proxy (IPv6: the /64 around it).",
    "drain_seconds": "Seconds that a process with `FEDERATION_DATABASE_URL` goes on serving after SIGTERM, "
    "while `/health/ready` answers 503: longer than the proxy needs to notice.",
    "quota_records": "Records of one peer that are stored, with tombstones, 1000 to 1000000000. A peer that "
    "would go beyond a quota is [paused](../how-to/trust-peers.md#when-a-peer-is-beyond-its-quota).",
    "quota_mebibytes": "Mebibytes of the documents of one peer, 16 to 1000000000.",
    "quota_feeds": "Feeds of one peer, 2 to 100000: public, federation, and one for each of its groups that "
    "you are in.",
    "quota_rejected": "Rejected entries of one peer, 1 to 1000000. Of one peer 10000 are stored; of more, "
    "only the number is known.",
    "quota_entries": "Entries of one peer within an hour, 1000 to 1000000000; never less than "
    "`FEDERATION_QUOTA_RECORDS`.",
    "alerts_an_hour": "Alerts of one operator that a receiver gets one by one within an hour, 1 to 1000000; "
    "a [digest](../how-to/be-alerted.md#a-flood-of-alerts) has the others.",
    "proxies": "Addresses and networks, separated by commas, of the proxies whose `X-Forwarded-For` is "
    "believed, such as `127.0.0.1,172.16.0.0/12`.",
    "tombstones_days": "Days that tombstones and withdrawals are kept, 1 to 36500. Who was away for longer "
    "compares all it holds, instead of reading on from its cursor.",
    "texts_dir": "Directory with your own texts of pages, in Markdown: `accessibility.fr.md`, "
    "`accessibility.en.md`, `legal.fr.md`, `legal.en.md`. A page without one shows a text of the program.",
    "time_zone": "Time zone in which pages show moments: a name of the IANA database.",
    "oidc_issuer": "Issuer of your identity provider (OpenID Connect), as its discovery document names it: "
    "[people log in there](../how-to/let-people-in.md#with-an-identity-provider).",
    "oidc_client_id": "Id of this node as a client of the identity provider.",
    "oidc_secret_file": "File that holds the secret of that client, in one line; it is read at each login.",
    "oidc_scopes": "Scopes that are asked for, separated by spaces; `openid` is one of them.",
    "oidc_name": "Name of the identity provider on the login page.",
    "oidc_rules": "Roles by a claim, read at each login, separated by semicolons; the first that holds "
    "counts: `administrator: groups=/federation/admins; reader: siret=13002526500013`. A claim within "
    "a claim is written with a dot, as `realm_access.roles=reader`. `email` is never read.",
    "oidc_private": "`yes` or `no`. With `yes`, it may be at an address that is not public.",
    "demo_links": "`yes` or `no`. With `yes`, login links of the demonstration hold, for requests of this "
    "machine only, at a plain http address of the loopback interface only.",
    "security_contact": "`mailto:security@example.org` or `https://example.org/security`: where to report a "
    "weakness of this node. It is shown in `/.well-known/security.txt` (RFC 9116).",
}
_OTHERWISE = {
    "operator": "none: it must be set",
    "url": "`http://127.0.0.1:` and the port",
    "name": "the operator's id",
    "data_dir": "`federation-data` in the working directory",
    "database_url": "the node runs its own PostgreSQL",
    "smtp_url": "none: alerts go by webhook only",
    "smtp_password_file": "none",
    "ca_file": "those of the system only",
    "texts_dir": "the texts of the program",
    "smtp_ca_file": "those of the system",
    "mail_from": "none",
    "demo_links": "`no`",
    "oidc_issuer": "none: people log in by passkeys",
    "oidc_client_id": "none",
    "oidc_secret_file": "none",
    "oidc_name": "the issuer's host",
    "oidc_rules": "none: those are let in who were invited",
    "oidc_private": "`no`",
    "proxies": "nobody: a request came from where its connection did",
    "security_contact": "none: `/.well-known/security.txt` answers 404",
}


def settings() -> str:
    otherwise = read({"FEDERATION_OPERATOR": "arnia"})

    def row(name: str) -> tuple[str, ...]:
        return (
            f"`FEDERATION_{name.upper()}`",
            _SETTINGS[name],
            _OTHERWISE.get(name) or f"`{getattr(otherwise, name)}`",
        )

    return table(("variable", "meaning", "when not set"), (row(name) for name in Settings.__struct_fields__))


# Problems


def problems() -> str:
    parts = []
    for name, page in sorted(PROBLEMS.items()):
        parts.append(
            f"## {name}\n\nStatus {page.status}. *{page.title}.* (French: *{translated(page.title)}.*)\n\n"
            f"{page.meaning}\n\n"
            f"**What to do:** {page.remedy}\n"
        )
    return "\n".join(parts)


def fault_codes() -> str:
    return table(("code", "meaning"), ((f"`{code}`", FAULT_MEANINGS[code]) for code in FAULT_CODES))


# The API


def operations() -> str:
    made = openapi.document(api(), "https://node.example.org")

    def rows() -> Iterator[tuple[str, ...]]:
        for path, methods in made["paths"].items():
            for method, operation in methods.items():
                row = (
                    f"`{method.upper()} {path}`",
                    operation["summary"],
                    _right(operation["security"]),
                    f"`{operation['operationId']}`",
                )
                # The collections differ in nothing but their name and the timeline of incidents.
                if path.startswith("/v1/solutions") and not path.endswith(OF_ONE_COLLECTION):
                    yield tuple(_of_any_collection(cell) for cell in row)
                elif not path.startswith(_COLLECTIONS) or path.endswith(OF_ONE_COLLECTION):
                    yield row

    return table(("request", "what it does", "scope", "operationId"), rows())


OF_ONE_COLLECTION = ("/updates", "/exposure", "/bodies", "/version", "/needs", "/decp.json")
_COLLECTIONS = tuple(f"/v1/{kind.plural}" for kind in TYPES.values())


def _of_any_collection(cell: str) -> str:
    for one, any_ in (
        ("/v1/solutions", "/v1/{collection}"),
        ("`solutions.", "`{collection}."),
        ("Solutions`", "{Collection}`"),
        ("Solution`", "{Type}`"),
        (" solutions", " records"),
        (" solution", " record"),
    ):
        cell = cell.replace(one, any_)
    return cell


def _right(security: list[dict[str, list[str]]]) -> str:
    scopes = code(*(scope for right in security for scope in right.get("oauth2", ())))
    if not security:
        return "none needed"
    others = [_CREDENTIALS[name] for right in security for name in right if name != "oauth2"]
    if others:
        return f"none; {' or '.join([*others, *(['an assertion'] if {} in security else [])])}"
    return f"{scopes}, or no token" if {} in security else scopes


_CREDENTIALS = {
    "client": "id and secret of a client",
    "invitation": "the secret of an invitation",
    "source": "the secret of a source",
    "sourceByPassword": "the same as a password",
}


def scopes() -> str:
    return table(
        ("scope", "what it allows", "peers have it"),
        ((f"`{name}`", does, "yes" if name in PEER_SCOPES else "") for name, does in SCOPES.items()),
    )


def filters() -> str:
    return table(
        ("collection", "filters"),
        ((f"`{kind.plural}`", code(*query.filters_of(kind))) for kind in TYPES.values()),
    )


def controls() -> str:
    words = {
        "q": f"Words to search, 1 to {query.MAX_WORDS_CHARACTERS} characters.",
        "updated_since": "Records updated at this moment or later: `2026-03-01T08:30:00Z`, or a date.",
        "updated_before": "Records updated before this moment.",
        "sort": f"{code(*query.SORTS, query.RELEVANCE)}; when not given, the last with `q`, else the first.",
        "limit": f"Records on a page: {query.PAGE} when not given, {query.MAX_PAGE} at most.",
        "after": "The place that the last page named; take it from `Link` or `next`.",
        "total": f"`true`: count what is found, exactly up to {number(query.MAX_TOTAL)}.",
    }
    return table(("parameter", "meaning"), ((f"`{name}`", words[name]) for name in query.CONTROLS))


def number(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def size(value: int) -> str:
    for unit, name in ((1_048_576, "MiB"), (1_024, "KiB")):
        if value >= unit and value % unit == 0:
            return f"{value // unit} {name}"
    return f"{number(value)} bytes"


def seconds(value: float) -> str:
    return f"{value:g} s"


def rate(limit: token_buckets.Rate, setting: str = "") -> str:
    of = f" (`FEDERATION_{setting}`)" if setting else ""
    return f"{number(limit.a_second)} a second{of}, {number(limit.burst)} at once"


def limits() -> str:
    found = read({"FEDERATION_OPERATOR": "arnia"})
    known, nobody = (
        token_buckets.Rate(value, value * api_limits.BURST_SECONDS)
        for value in (found.rate, found.rate_anonymous)
    )
    rows: tuple[tuple[str, str, str], ...] = (
        ("Body of a request that is no upload, and a document", size(document.MAX_DOCUMENT), "413, 400"),
        ("Body of a token request", size(oauth.MAX_FORM), "413"),
        ("Query string", size(requests.MAX_QUERY_BYTES), "413"),
        ("Objects and arrays inside one another", number(canonical.MAX_DEPTH), "400"),
        ("Integers", "±(2^53 − 1)", "400"),
        ("Records of a list page", f"{query.PAGE}, at most {query.MAX_PAGE}", "400"),
        ("Values of all filters together", number(query.MAX_FILTER_VALUES), "400"),
        ("Characters of `q`", number(query.MAX_WORDS_CHARACTERS), "400"),
        ("Exact totals", f"up to {number(query.MAX_TOTAL)}", "`total_is_exact` is false"),
        ("Lines of an upload", number(upload_lines.MAX_LINES), "a line of the report"),
        ("Bytes of an upload", size(upload_lines.MAX_UPLOAD_BYTES), "413, or a line of the report"),
        (
            "Records, and bytes, of an upload in JSON",
            f"{number(upload_lines.MAX_JSON_RECORDS)}, {size(upload_lines.MAX_JSON_BYTES)}",
            "413",
        ),
        ("Records that the replacement of a set retracts", number(upload_plans.MAX_RETRACTED), "400"),
        ("Uploads of a process that are checked before they are stored", number(spool.MAX_SPOOLS), "503"),
        (
            "Answers to requests with `Idempotency-Key` that are stored of a caller",
            f"{number(repeat.MAX_KEYS)}, {size(repeat.MAX_STORED_BYTES)}, {repeat.STORED_HOURS} hours",
            "429",
        ),
        ("Characters of `Idempotency-Key`", number(repeat.MAX_KEY_CHARACTERS), "400"),
        ("Bytes of a line of an upload", size(upload_lines.MAX_LINE_BYTES), "a line of the report"),
        (
            "Records of an upload kept in one transaction",
            f"{number(uploads.BATCH_LINES)} or {size(uploads.BATCH_BYTES)}",
            "–",
        ),
        ("Entries of a page of a feed or of changes", number(feed.PAGE_ENTRIES), "400"),
        ("Bytes of a page of a feed", f"{size(feed.PAGE_BYTES)}, but at least one entry", "`more` is true"),
        ("`Prefer: wait`", seconds(feed.MAX_WAIT_SECONDS), "304"),
        (
            "Entries asked for by number at once, or told in one feedback",
            number(checkpoint.MAX_NUMBERS),
            "400",
        ),
        ("A receipt", size(receipts.MAX_RECEIPT_BYTES), "400"),
        ("Entries that one peer could not take, kept", number(store_receipts.MAX_FEEDBACK), "not kept"),
        ("Records named by `dry_run`", number(previews.MAX_EFFECTS), "`records` counts them"),
        (
            "Withdrawals, departures, receipts, entries of feedback that are listed, of each",
            number(store_receipts.MAX_LISTED),
            "the newest",
        ),
        ("Silence in a stream of events, before a comment line", seconds(change_log.HEARTBEAT_SECONDS), "–"),
        ("Life of an access token", seconds(caller.LIFETIME), "401"),
        ("Length of an access token", size(caller.MAX_TOKEN), "401"),
        ("Life of a client assertion", seconds(tokens.MAX_ASSERTION_SECONDS), "401"),
        ("Difference of clocks", seconds(keys.LEEWAY), "401"),
        ("Time to send the headers of a request", seconds(serve.HEADER_MILLISECONDS / 1000), "closed"),
        ("Requests of one client or peer", rate(known, "RATE"), "429"),
        ("Requests of one address without a token", rate(nobody, "RATE_ANONYMOUS"), "429"),
        ("Token requests and the like of one client from one address", rate(api_limits.TOKENS), "429"),
        ("Token requests and the like of one address", rate(api_limits.TOKENS_OF_ADDRESS), "429"),
        ("Failed authentications of one client from one address", rate(api_limits.FAILURES), "429"),
        ("Failed authentications of one address", rate(api_limits.FAILURES_OF_ADDRESS), "429"),
        ("Wrong invitations of one address", rate(api_limits.FAILURES), "429"),
        (
            "Clients, peers and addresses whose requests are counted, of each",
            number(token_buckets.MAX_REMEMBERED),
            "who asked longest ago is forgotten",
        ),
        (
            "Requests under way of one client, peer or address",
            f"{found.requests_per_caller} (`FEDERATION_REQUESTS_PER_CALLER`)",
            "408 for the oldest whose body is awaited, else 429",
        ),
        ("Requests under way in one process", f"{found.requests} (`FEDERATION_REQUESTS`)", "503"),
        (
            "Waits and open streams of one client or peer",
            f"{found.waits_per_caller} (`FEDERATION_WAITS_PER_CALLER`)",
            "429",
        ),
        ("Waits and open streams of one process", f"{found.waits} (`FEDERATION_WAITS`)", "503"),
        (
            "Connections of one address that is no proxy",
            f"{found.sockets_per_address} (`FEDERATION_SOCKETS_PER_ADDRESS`)",
            "idle ones are closed",
        ),
        (
            "Connections of one process",
            f"{number(found.sockets)} (`FEDERATION_SOCKETS`)",
            "idle ones are closed",
        ),
        (
            "Connections that are accepted before idle ones are closed, and that wait after these, of each",
            number(connections.SPARE_SOCKETS),
            "refused by the system",
        ),
        (
            "Silence after which a connection counts as idle; one that has sent something",
            f"{seconds(connections.GRACE_SECONDS)}; {seconds(connections.HALF_SENT_SECONDS)}",
            "–",
        ),
        ("Headers of a request", size(serve.HEADER_BYTES), "431"),
        (
            "Rest of a refused body that is read before the answer",
            f"{size(bodies.DRAIN_BYTES)}, {seconds(bodies.DRAIN_SECONDS)}",
            "`Connection: close`",
        ),
        (
            "Rest that is read after an answer with `Connection: close`",
            f"{size(bodies.LINGER_BYTES)}, {seconds(bodies.LINGER_SECONDS)}",
            "closed",
        ),
        ("Wait for a free database connection", seconds(pools.ACQUIRE_TIMEOUT_SECONDS), "503"),
        ("One statement in the database", seconds(pools.STATEMENT_TIMEOUT_MILLISECONDS / 1000), "503"),
        (
            "New requests after SIGTERM, with a database of yours",
            f"{found.drain_seconds} s (`FEDERATION_DRAIN_SECONDS`)",
            "–",
        ),
        ("Requests under way after that", seconds(serve.FINISH_SECONDS), "closed"),
    )
    return table(("what", "limit", "beyond it"), iter(rows))


def patience() -> str:
    rows: tuple[tuple[str, str], ...] = (
        ("Connecting to a peer", seconds(http.CONNECT)),
        ("Silence after which an answer is given up", seconds(http.MAX_SILENT_SECONDS)),
        ("Waiting for news at a peer, per request", seconds(peer_client.HEADS_WAIT_SECONDS)),
        (
            "Pause before a peer that does not wait is asked again",
            seconds(peer_follower.EMPTY_ANSWER_SECONDS),
        ),
        ("Peers that are opened at a time", "half of the database connections"),
        (
            "Processes that share a database",
            f"each follows its share; beyond it gives back {loop.MAX_GIVEN_BACK} peers a second",
        ),
        (
            "Head that is not signed, before the copy raises an alarm",
            f"{seconds(unsigned_heads.IDLE_SECONDS)}; while the origin writes"
            f" {seconds(unsigned_heads.WRITING_SECONDS)} without a newer checkpoint",
        ),
        ("Difference of clocks that is not reported", seconds(peer.MAX_CLOCK_DIFFERENCE_SECONDS)),
        ("Note that peers still answer", f"every {seconds(contact_notes.NOTE_SECONDS)}"),
        (
            "Asking without waiting, in case a wake-up was lost",
            f"every {seconds(peer_follower.SWEEP_SECONDS)}, ± a third",
        ),
        (
            "Pause after a failure, doubled with jitter",
            f"{seconds(peer.FIRST_WAIT)} to {seconds(peer.MAX_WAIT_SECONDS)}",
        ),
        ("One entry of a feed", size(peer_client.MAX_ENTRY_BYTES)),
        ("Any other answer of a peer", size(http.SMALL_BYTES)),
        (
            "Leaves of a bucket, and an answer with them",
            f"{number(checkpoint.MAX_LEAVES)}, {size(leaves.MAX_LEAVES_BYTES)}",
        ),
        ("Entries asked for by number at once", number(checkpoint.MAX_NUMBERS)),
        (
            "Entries stored in one transaction",
            f"{number(peer_client.BATCH_ENTRIES)} or {size(peer_client.BATCH_BYTES)}",
        ),
        ("Records dropped in one transaction of a repair", number(repair.RECORDS_PER_DROP)),
        ("Rejected entries of a peer that are stored", number(rejected.MAX_REJECTED)),
        (
            "Lines of the log about rejected entries of a peer, within an hour",
            number(rejection_lines.MAX_LINES_AN_HOUR),
        ),
        ("One pull or repair of a feed", seconds(peer_follower.MAX_PULL_SECONDS)),
        (
            "Proof of a feed that moves meanwhile",
            f"{repair.MAX_ATTEMPTS} times, {seconds(repair.RETRY_SECONDS)} apart",
        ),
        ("A repair that changed nothing", f"again after {seconds(follow.REPAIR_AGAIN.total_seconds())}"),
        (
            "Failures in a row after which other members are asked",
            f"{peer_follower.RELAY_AFTER_FAILURES}; then {peer_follower.MAX_RELAYS} of them,"
            f" every {seconds(peer_follower.RELAY_SECONDS)}",
        ),
    )
    return table(("what", "limit"), iter(rows))


# Alerts


def alert_events() -> str:
    return table(
        ("event", "when"), ((f"`{event}`", meaning) for event, meaning in alert.EVENT_MEANINGS.items())
    )


def archives() -> str:
    rows: tuple[tuple[str, str], ...] = (
        ("Files of one import", number(advisory_paths.MAX_FILES)),
        (
            "Files in one ZIP archive",
            f"{number(advisory_files.MAX_ZIP_FILES)}; unpack a larger one, and name the directory",
        ),
        ("One advisory", mebibytes(MAX_ADVISORY_BYTES)),
        (
            "A ZIP archive may unpack to",
            f"{mebibytes(advisory_files.MAX_ZIP_BYTES)}, and each file in it to"
            f" {advisory_files.MAX_ZIP_RATIO} times its size",
        ),
        (
            "A ZIP archive on standard input",
            f"{mebibytes(advisory_files.MAX_SPOOLED_BYTES)}; it is stored in a temporary file",
        ),
        ("Solutions that are compared", number(advisories.MAX_SOLUTIONS)),
        ("Advisories of one form that are remembered", number(read_advisories.MAX_READ_ADVISORIES)),
        ("Published, revised and refused vulnerabilities in a report", number(advisory_archives.MAX_LISTED)),
        ("Unchanged and skipped ones", number(advisory_archives.MAX_LISTED_UNCHANGED)),
        (
            "A line of progress, where there is no terminal",
            f"each {number(advisories_command.PROGRESS_ADVISORIES)} advisories",
        ),
    )
    return table(("what", "limit"), iter(rows))


def mebibytes(value: int) -> str:
    return f"{value >> 20:,} MiB".replace(",", " ")


def alerting() -> str:
    rows: tuple[tuple[str, str], ...] = (
        ("Subscriptions of a node", f"{alerts.MAX_SUBSCRIPTIONS}, then 400"),
        ("Deadlines of a node", f"{number(stored_deadlines.MAX_DEADLINES)}, then 400"),
        (
            "Between two attempts",
            f"{seconds(alert.MIN_WAIT_SECONDS)} to {seconds(alert.MAX_WAIT_SECONDS)}, with jitter",
        ),
        (
            "Alerts of one operator that a receiver gets one by one, within an hour",
            f"{node_module.ALERTS_AN_HOUR} (`FEDERATION_ALERTS_AN_HOUR`), then a digest",
        ),
        (
            "The digest is sent after",
            f"{hours(alert.FLOOD_PERIOD)}, or {seconds(alert.FLOOD_QUIET.total_seconds())} without another",
        ),
        (
            "Withheld alerts of one operator that are stored for a receiver, of each flood",
            number(alert.MAX_WITHHELD),
        ),
        ("Attempts, before an alert is parked", f"for {hours(alert.MAX_DELIVERY_TIME)}"),
        ("One attempt, as a whole", seconds(alert.ATTEMPT_TIMEOUT.total_seconds())),
        (
            "Of it, a mail server has",
            f"{seconds(mail.SEND_SECONDS)}, and {seconds(mail.REPLY_SECONDS)} for each answer",
        ),
        (
            "Lease of an attempt, after which another process makes it",
            seconds(alert.ATTEMPT_LEASE.total_seconds()),
        ),
        (
            "Delivered at once, by each of the processes",
            f"{stored_alerts.MAX_DUE * alert_delivery.MAX_DELIVERY_TASKS}",
        ),
        (
            "Delivered at once to one receiver",
            f"{stored_alerts.MAX_DUE_PER_SUBSCRIPTION * alert_delivery.MAX_DELIVERY_TASKS}",
        ),
        ("Looks for what was not done in time", f"every {seconds(alert_scan.SCAN_SECONDS)}"),
        ("A peer that has not answered is silent after", seconds(STALE_AFTER_SECONDS)),
        ("An incident that is untouched for longer is no news", f"{MAX_INCIDENT_AGE.days} days"),
        (
            "Open incidents that are read to find those that affect one's own",
            number(alert_scan.MAX_INCIDENT_PAGES * query.MAX_PAGE),
        ),
        (
            "Alerts that were delivered or parked are kept",
            f"{alert_scan.ALERT_RETENTION.days} days, and while they go on",
        ),
        ("Alerts that are listed", number(stored_alerts.MAX_LISTED)),
        ("Characters of a value in an e-mail", number(alert.MAX_LINE_LENGTH)),
    )
    return table(("what", "limit"), iter(rows))


def hours(value: timedelta) -> str:
    return f"{value.total_seconds() / 3600:g} h"


# Proof


def proofs() -> str:
    rows: tuple[tuple[str, str], ...] = (
        ("Buckets of a feed", number(checkpoint.BUCKETS)),
        ("Life of a checkpoint", seconds(checkpoint.LIFETIME)),
        ("Age at which a checkpoint is renewed, though nothing has changed", seconds(checkpoint.RENEWED)),
        ("Age of the last proof at which a copy raises an alarm", seconds(checkpoint.HALF_LIFE)),
        ("Time that the clock of a signer may be ahead", seconds(checkpoint.CLOCKS_DIFFER)),
        ("Operators that a checkpoint excludes", number(checkpoint.MAX_EXCLUSIONS)),
        (
            "Time without an arrival after which changes are signed",
            seconds(maintenance.SIGN_AFTER_QUIET_SECONDS),
        ),
        (
            "Time after which they are signed although more arrives",
            seconds(maintenance.SIGN_AT_LATEST_SECONDS),
        ),
        (
            "Time after which what could not be signed is tried again",
            seconds(maintenance.SIGN_RETRY_SECONDS),
        ),
        ("Looks for checkpoints that grow old", f"every {seconds(maintenance.RENEW_CHECK_SECONDS)}"),
        (
            "Removals that happen without being asked, in one round",
            f"{number(copy.MAX_REMOVED)} records,"
            f" or {copy.MAX_REMOVED_SHARE:.0%} of the feed if that is more",
        ),
        (
            "Tombstones and withdrawals are kept",
            f"{node_module.TOMBSTONES_DAYS} days (`FEDERATION_TOMBSTONES_DAYS`); looked at every "
            f"{seconds(maintenance.EXPIRE_SECONDS)}",
        ),
    )
    return table(("what", "limit"), iter(rows))


# Metrics


def metrics() -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for family in Metrics().registry.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield f"`{name}`", family.type, family.documentation

    return table(("metric", "kind", "meaning"), rows())


# The schema

_FORMS: dict[str, Any] = {
    "operator id": values.Operator,
    "key": values.Key,
    "type name": values.TypeName,
    "group name": values.Group,
    "record id": values.Id,
    "record id or URI": values.IdOrUri,
    "instant": values.Instant,
    "day": values.Day,
    "language map": values.LanguageMap,
    "Markdown map": values.MarkdownMap,
    "line": values.Line,
    "text": values.Text,
    "URL": values.Url,
    "URI": values.Uri,
    "country": values.Country,
    "territory": values.Territory,
    "mailbox": values.Mailbox,
    "count": values.Count,
    "cents": values.Cents,
    "currency": values.Currency,
    "version": values.Version,
    "SHA-256": values.Sha256,
}
_SHAPES = {
    msgspec.json.encode(msgspec.json.schema(form), order="sorted"): name for name, form in _FORMS.items()
}


def forms() -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for name, form in _FORMS.items():
            schema = msgspec.json.schema(form)
            bounds = [_bounds(schema)] if _bounds(schema) else []
            if "pattern" in schema and len(schema["pattern"]) < 90:
                bounds.append(code(portable_pattern(schema["pattern"])))
            example = schema.get("examples", [""])[0]
            shown = f"`{msgspec.json.encode(example).decode()}`" if example else ""
            yield name, schema.get("description", ""), "; ".join(bounds), shown

    return table(("form", "meaning", "rule", "example"), rows())


def _bounds(schema: dict[str, Any]) -> str:
    match schema.get("type"):
        case "string":
            least, most, what = schema.get("minLength"), schema.get("maxLength"), "characters"
        case "array":
            least, most, what = schema.get("minItems"), schema.get("maxItems"), "items"
        case "object":
            least, most, what = schema.get("minProperties"), schema.get("maxProperties"), "members"
        case "integer":
            least, most, what = schema.get("minimum"), schema.get("maximum"), ""
            most = "2^53 − 1" if most == values.SAFE_INTEGER else most
        case _:
            return ""
    shown = number(most) if isinstance(most, int) else most
    if least is not None and most is not None:
        return f"{least} to {shown} {what}".strip()
    if most is not None:
        return f"at most {shown} {what}".strip()
    return f"at least {least} {what}".strip() if least is not None else ""


def _form(schema: dict[str, Any]) -> str:
    """The form of a member in words."""
    bare = {name: value for name, value in schema.items() if name != "default"}
    if found := _SHAPES.get(msgspec.json.encode(bare, order="sorted")):
        return found
    if "$ref" in bare:
        name = bare["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in bare:
        inner = [_form(one) for one in bare["anyOf"] if one.get("type") != "null"]
        return " or ".join(inner)
    if "enum" in bare:
        return code(*(value for value in bare["enum"] if value is not None))
    if "const" in bare:
        return code(bare["const"])
    match bare.get("type"):
        case "array":
            bounds = _bounds(bare)
            return f"list of {_form(bare['items'])}{f'; {bounds}' if bounds else ''}"
        case "boolean":
            return "true or false"
        case "integer":
            return f"integer, {_bounds(bare)}" if _bounds(bare) else "integer"
        case "string":
            restrictions = [
                rule
                for rule in (
                    _bounds(bare),
                    code(portable_pattern(bare["pattern"])) if "pattern" in bare else "",
                )
                if rule
            ]
            example = f", such as {code(bare['examples'][0])}" if "examples" in bare else ""
            return "text" + (f", {', '.join(restrictions)}" if restrictions else "") + example
        case _:
            return "object"


def _members(name: str, schema: dict[str, Any], skip: tuple[str, ...] = ()) -> str:
    required = schema.get("required", ())

    def rows() -> Iterator[tuple[str, ...]]:
        for member, inner in schema["properties"].items():
            if member not in skip:
                yield f"`{member}`", "R" if member in required else "", _form(inner)

    return table(("member", "", "form"), rows())


def _definitions(shape: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.schema(shape)["$defs"]
    return found


def envelope() -> str:
    return _members("Envelope", _definitions(Envelope)["Envelope"])


def draft() -> str:
    (schema,) = (
        schema
        for name, schema in _definitions(_of(Draft, TYPES["operator"])).items()
        if name.startswith("Draft")
    )
    return _members("Draft", schema, skip=("content",))


def _of(shape: Any, kind: type[Content]) -> Any:
    return shape[kind]


def types() -> str:
    parts: list[str] = []
    others: dict[str, Any] = {}
    for kind in TYPES.values():
        definitions = _definitions(kind)
        own = definitions.pop(kind.__name__)
        others |= definitions
        words = " ".join((kind.__doc__ or "").split())
        parts.append(
            f"## {kind.__name__}\n\n{words}\n\nType `{kind.type}`, collection `/v1/{kind.plural}`.\n\n"
            f"{_members(kind.__name__, own)}\n"
        )
    parts.append("## Parts\n\nThe objects inside the contents, in alphabetical order.\n")
    others |= _definitions(NewUpdate)
    for name, schema in sorted(others.items()):
        words = " ".join(schema.get("description", "").split())
        parts.append(f"### {name}\n\n{words}\n\n{_members(name, schema)}\n")
    return "\n".join(parts)


def statuses() -> str:
    return table(("kind", "statuses"), ((f"`{kind}`", code(*found)) for kind, found in STATUSES.items()))


def themes() -> str:
    return code(*sorted(THEMES)) + "."


def rules() -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for number_of_rule, rule in RULES.items():
            module, _, name = rule.checked_by.partition(":")
            checked = f"`{module.removeprefix('federation.').replace('.', '/')}.py`, `{name}`"
            whose, in_schema = "all" if rule.readers else "writers", "yes" if rule.in_schema else ""
            yield f"Rule {number_of_rule}", rule.text, whose, in_schema, checked

    return table(("rule", "text", "whose records", "in the schema", "checked by"), rows())


def labels() -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for kind in TYPES.values():
            usual = kind.default_tlp is Content.default_tlp
            yield f"`{kind.type}`", "CLEAR" if usual else _LABELS[kind.type]

    return table(("type", "label when the writer names none"), rows())


_LABELS = {
    "deployment": "GREEN",
    "incident": "GREEN; of an outage or a maintenance CLEAR (GREEN where `federation label` says so); AMBER"
    " when its kind is `security` (a group must then be named)",
    "statement": "GREEN",
    "group": "RED, and no other",
    "membership": "GREEN",
    "meeting": "GREEN",
    "contribution": "GREEN",
    "participation": "GREEN",
}


def decisions() -> str:
    lines = []
    for page in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        number, _, title = page.read_text().partition("\n")[0].removeprefix("# ").partition(" ")
        lines.append(f"- [{number}]({page.name}) {title}")
    return "\n".join(lines)


# Verdicts


def reasons() -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for reason, meaning in REASONS.items():
            settled_by = SETTLED_BY.get(reason, ("",))[0]
            yield f"`{reason}`", meaning.verdict.replace("_", " "), meaning.en, settled_by

    return table(("reason", "verdict", "meaning", "to settle it"), rows())


# The audit trail


def events() -> str:
    rows = ((f"`{event}`", meaning) for event, meaning in audit.EVENTS.items())
    return table(("event", "meaning"), rows)


def faults() -> str:
    return table(
        ("fault", "meaning"), ((f"`{what}`", meaning) for what, meaning in audit_chain.FAULTS.items())
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "cli": cli,
    "settings": settings,
    "problems": problems,
    "fault-codes": fault_codes,
    "operations": operations,
    "scopes": scopes,
    "filters": filters,
    "controls": controls,
    "limits": limits,
    "patience": patience,
    "alert-events": alert_events,
    "alerting": alerting,
    "archives": archives,
    "proofs": proofs,
    "metrics": metrics,
    "forms": forms,
    "envelope": envelope,
    "draft": draft,
    "types": types,
    "statuses": statuses,
    "themes": themes,
    "labels": labels,
    "rules": rules,
    "decisions": decisions,
    "reasons": reasons,
    "events": events,
    "faults": faults,
    **{f"client-{client.name}": partial(page_of, client) for client in CLIENTS},
}

if __name__ == "__main__":
    for path in (ROOT / "README.md", *DOCS.rglob("*.md")):
        before = path.read_text()
        if (after := written(before)) != before:
            path.write_text(after)
            print(path.relative_to(ROOT))
