"""Settings: what cannot be right is refused in a line that names the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.errors import CommandFailed
from federation.domain.quota import Quota
from federation.settings.environment import read
from federation.settings.files import read_password
from federation.settings.mail_server import mail_server
from federation.settings.settings import Settings


def settings(**variables: str) -> Settings:
    return read(
        {"FEDERATION_OPERATOR": "arnia", **{f"FEDERATION_{name}": value for name, value in variables.items()}}
    )


def refused(**variables: str) -> str:
    with pytest.raises(CommandFailed) as refusal:
        settings(**variables)
    (name,) = variables
    assert f"FEDERATION_{name}" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://node.example.org",
        "https://node.example.org:8443",
        "http://127.0.0.1:8470",
        "http://127.9.9.9",
        "http://localhost:8470",
        "http://arnia.localhost:8470",
        "http://[::1]:8470",
        "https://[2001:db8::1]",
    ],
)
def test_a_node_is_reached_by_https_or_on_its_own_machine(url: str) -> None:
    assert settings(URL=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "http://node.localhost.example.org",
        "http://nodelocalhost",
        "http://10.0.0.1:8470",
        "http://0.0.0.0:8470",
    ],
)
def test_plain_http_to_others_is_refused_with_what_to_set_behind_a_proxy(url: str) -> None:
    said = refused(URL=url)
    assert "https" in said
    assert "proxy" in said


@pytest.mark.parametrize(
    "url",
    [
        "https://h:99999999", "https://h:notaport", "https://h:-1", "https://h:", "https://h:0", "https://[bad",
        "https://", "ftp://h", "node.example.org", "https://h/?a=b", "https://h/#a", "https://user@h",
        "https://user:secret@h", "https://h h", "https://h\\x",
    ],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(url: str) -> None:
    said = refused(URL=url)
    assert "secret" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:password@host:5432/database",
        "postgres://host/database",
        "postgresql:///database?host=/var/run/postgresql",
        "postgresql://user@/database?host=/tmp/x&port=5432",
        "postgresql://[::1]:5432/database",
        "postgresql://one:5432,two:5433,[::1]/database?target_session_attrs=read-write",
        "postgresql://host/database?sslmode=verify-full",
        "postgresql://user:p%40ss%2Fword@host/database",
    ],
)
def test_a_database_is_named_by_its_url(url: str) -> None:
    assert settings(DATABASE_URL=url).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://[bad",
        "postgresql://user:hunter2@host:notaport/db",
        "postgresql://host:0/db",
        "postgresql://host:65536/db",
        "postgresql://one:5432,two:x/db",
        "postgresql://host/db?port=x",
        "postgresql://host/db?sslmode=sometimes",
        "postgresql://host/db?target_session_attrs=any-one",
        "mysql://host/db",
        "host/db",
    ],
)
def test_what_names_no_database_is_refused_without_telling_its_password(url: str) -> None:
    assert "hunter2" not in refused(DATABASE_URL=url)


# The mail server


MAIL = {"SMTP_URL": "smtps://mail.example.org", "MAIL_FROM": "node@example.org"}


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("smtps://mail.example.org", ("mail.example.org", 465, "tls")),
        ("smtp://mail.example.org", ("mail.example.org", 587, "starttls")),
        ("smtp://mail.example.org:25/", ("mail.example.org", 25, "starttls")),
        ("smtps://[2001:db8::1]:4650", ("2001:db8::1", 4650, "tls")),
        ("smtp+plain://127.0.0.1", ("127.0.0.1", 25, "none")),
        ("smtp+plain://localhost:2525", ("localhost", 2525, "none")),
    ],
)
def test_a_mail_server_is_named_by_a_url(url: str, where: tuple[str, int, str]) -> None:
    found = mail_server(settings(SMTP_URL=url, MAIL_FROM="node@example.org"))
    assert found is not None
    assert (found.host, found.port, found.security) == where
    assert (found.user, found.password, found.sender) == ("", "", "node@example.org")


def test_a_user_has_a_password_in_the_url_or_in_a_file(tmp_path: Path) -> None:
    said = {**MAIL, "SMTP_URL": "smtps://a%40b:p%3Aw@mail.example.org"}
    found = mail_server(settings(**said))
    assert found is not None
    assert (found.user, found.password) == ("a@b", "p:w")
    file = tmp_path / "password"
    file.write_text("p w\r\n")
    found = mail_server(
        settings(**{**MAIL, "SMTP_URL": "smtps://a@mail.example.org", "SMTP_PASSWORD_FILE": str(file)})
    )
    assert found is not None
    assert (found.user, found.password_file) == ("a", file)
    assert read_password(file) == "p w"


def test_without_a_mail_server_there_is_none() -> None:
    assert mail_server(settings()) is None


HALVES: list[tuple[dict[str, str], str, str]] = [
    ({"MAIL_FROM": "node@example.org"}, "MAIL_FROM", "FEDERATION_SMTP_URL is not"),
    ({"SMTP_PASSWORD_FILE": "/x"}, "SMTP_PASSWORD_FILE", "FEDERATION_SMTP_URL is not"),
    ({"SMTP_CA_FILE": "/x"}, "SMTP_CA_FILE", "FEDERATION_SMTP_URL is not"),
    ({"SMTP_URL": "smtps://mail.example.org"}, "MAIL_FROM", "must be the mailbox"),
    ({**MAIL, "MAIL_FROM": "ARNia <node@example.org>"}, "MAIL_FROM", "must be the mailbox"),
    ({**MAIL, "MAIL_FROM": "node"}, "MAIL_FROM", "must be the mailbox"),
    ({**MAIL, "SMTP_URL": "mail.example.org"}, "SMTP_URL", "names no mail server"),
    ({**MAIL, "SMTP_URL": "https://mail.example.org"}, "SMTP_URL", "names no mail server"),
    ({**MAIL, "SMTP_URL": "smtps://"}, "SMTP_URL", "names no mail server"),
    ({**MAIL, "SMTP_URL": "smtps://mail.example.org:0"}, "SMTP_URL", "names no mail server"),
    ({**MAIL, "SMTP_URL": "smtps://mail.example.org:x"}, "SMTP_URL", "cannot be read as a URL"),
    ({**MAIL, "SMTP_URL": "smtps://mail.example.org:99999"}, "SMTP_URL", "cannot be read as a URL"),
    (
        {**MAIL, "SMTP_URL": "smtps://u:secret/x@mail.example.org"},
        "SMTP_URL",
        "cannot be read|more than a server",
    ),
    (
        {**MAIL, "SMTP_URL": "smtps://u:secret?x@mail.example.org"},
        "SMTP_URL",
        "cannot be read|more than a server",
    ),
    ({**MAIL, "SMTP_URL": "smtps://mail.example.org/x"}, "SMTP_URL", "more than a server"),
    ({**MAIL, "SMTP_URL": "smtp+plain://mail.example.org"}, "SMTP_URL", "loopback"),
    ({**MAIL, "SMTP_URL": "smtp+plain://10.0.0.1"}, "SMTP_URL", "loopback"),
    ({**MAIL, "SMTP_URL": "smtp+plain://127.0.0.1", "SMTP_CA_FILE": "/x"}, "SMTP_CA_FILE", "without TLS"),
    ({**MAIL, "SMTP_URL": "smtps://u@mail.example.org"}, "SMTP_PASSWORD_FILE", "names a user"),
    ({**MAIL, "SMTP_URL": "smtps://:secret@mail.example.org"}, "SMTP_URL", "no user"),
    ({**MAIL, "SMTP_PASSWORD_FILE": "/x"}, "SMTP_URL", "no user"),
    (
        {**MAIL, "SMTP_URL": "smtps://u:secret@mail.example.org", "SMTP_PASSWORD_FILE": "/x"},
        "SMTP_PASSWORD_FILE",
        "has a password already",
    ),
    (
        {**MAIL, "SMTP_URL": "smtps://u@mail.example.org", "SMTP_PASSWORD_FILE": "/none/such"},
        "SMTP_PASSWORD_FILE",
        "cannot be read: No such file",
    ),
    ({**MAIL, "SMTP_CA_FILE": "/none/such"}, "SMTP_CA_FILE", "cannot be read: No such file"),
    ({**MAIL, "SMTP_CA_FILE": __file__}, "SMTP_CA_FILE", "holds no certificate"),
]


def test_authorities_for_peers_are_read_when_the_program_starts(tmp_path: Path) -> None:
    assert settings().ca_file is None
    assert "cannot be read: No such file" in refused(CA_FILE=str(tmp_path / "none"))
    assert "cannot be read: Is a directory" in refused(CA_FILE=str(tmp_path))
    assert "holds no certificate" in refused(CA_FILE=__file__)


@pytest.mark.parametrize(("variables", "name", "why"), HALVES, ids=lambda v: str(v)[-40:])
def test_half_a_mail_server_is_refused_when_the_program_starts(
    variables: dict[str, str], name: str, why: str
) -> None:
    with pytest.raises(CommandFailed, match=why) as refusal:
        settings(**variables)
    assert f"FEDERATION_{name}" in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("held", [b"", b"\n", b"one\ntwo\n", b"\xff", b"x" * 1_025, b"a\x00b"], ids=repr)
def test_a_password_file_holds_a_password_and_nothing_else(held: bytes, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(held)
    with pytest.raises(
        CommandFailed, match="FEDERATION_SMTP_PASSWORD_FILE must hold a password, in one line"
    ):
        read_password(file)


@pytest.mark.parametrize(
    "contact",
    ["mailto:security@example.org", "https://example.org/security?lang=fr", "https://[2001:db8::1]/"],
)
def test_a_security_contact_is_a_mailbox_or_a_page(contact: str) -> None:
    assert settings(SECURITY_CONTACT=contact).security_contact == contact
    assert settings(SECURITY_CONTACT=" ").security_contact is None


@pytest.mark.parametrize(
    "contact",
    [
        "security@example.org", "mailto:", "mailto:nobody", "mailto:a@b@c", "http://example.org/security",
        "https://", "https://user:secret@example.org", "https://example.org/a b", "tel:+33100000000",
        "mailto:security@example.org\nExpires: never", "https://example.org/" + "x" * 500, "https://[::1",
        "https://example.org/é",
    ],
)  # fmt: skip
def test_other_security_contacts_are_refused(contact: str) -> None:
    assert "mailto:security@example.org" in refused(SECURITY_CONTACT=contact)


# Quotas of peers


def test_the_quota_of_a_peer_is_generous_and_each_bound_can_be_set() -> None:
    assert settings().quota == Quota(
        records=1_000_000, mebibytes=8_192, feeds=200, rejected=10_000, entries=1_000_000
    )
    assert settings().alerts_an_hour == 20
    changed = settings(
        QUOTA_RECORDS="5000", QUOTA_MEBIBYTES="64", QUOTA_FEEDS="2", QUOTA_REJECTED="1",
        QUOTA_ENTRIES="1000", ALERTS_AN_HOUR="1",
    )  # fmt: skip
    assert changed.quota == Quota(records=5_000, mebibytes=64, feeds=2, rejected=1, entries=1_000)
    assert changed.quota.entries_an_hour == 5_000, "a first sync of all that is allowed fits"
    assert changed.alerts_an_hour == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUOTA_RECORDS", "0"),
        ("QUOTA_RECORDS", "none"),
        ("QUOTA_MEBIBYTES", "15"),
        ("QUOTA_FEEDS", "1"),
        ("QUOTA_REJECTED", "0"),
        ("QUOTA_ENTRIES", "-1"),
        ("ALERTS_AN_HOUR", "0"),
    ],
)
def test_a_quota_that_would_stop_every_peer_is_refused(name: str, value: str) -> None:
    assert "must be a number from" in refused(**{name: value})
