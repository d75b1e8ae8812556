"""Settings: what cannot be right is refused in a line that names the variable."""

from __future__ import annotations

import pytest

from federation.domain.errors import Broken
from federation.settings import Settings, read


def settings(**variables: str) -> Settings:
    return read(
        {"FEDERATION_OPERATOR": "arnia", **{f"FEDERATION_{name}": value for name, value in variables.items()}}
    )


def refused(**variables: str) -> str:
    with pytest.raises(Broken) as refusal:
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
