"""A page knows its visitor by the cookie of a session, and by nothing else."""

from __future__ import annotations

import httpx2
import pytest

from federation.node import sessions
from federation.node.node import Node
from federation.web.visitor import COOKIE, cookie_name, no_session_cookie, session_cookie
from tests.people.people import a_person, log_in

GREETING = "Anne Martin"


def test_a_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arnia, "url", "https://arnia.example.org")
    assert session_cookie(arnia, "secret") == (
        f"__Host-{COOKIE}=secret; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure"
    )
    assert no_session_cookie(arnia) == (
        f"__Host-{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
    )
    monkeypatch.setattr(arnia, "url", "http://arnia.localhost:8471")
    assert session_cookie(arnia, "secret") == (
        f"{COOKIE}=secret; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"
    ), "a browser takes the prefix and Secure over TLS only"


async def test_a_page_is_for_the_person_of_the_session(arnia: Node, visitor: httpx2.AsyncClient) -> None:
    anonymous = await visitor.get("/en")
    assert anonymous.status_code == 200
    assert "set-cookie" not in anonymous.headers
    assert anonymous.headers["cache-control"].startswith("public")
    anne = await a_person(arnia, GREETING)
    await log_in(arnia, visitor, anne)
    known = await visitor.get("/en")
    assert known.headers["cache-control"] == "private, no-cache"
    await sessions.end_all(arnia, anne.id)
    gone = await visitor.get("/en")
    assert gone.headers["cache-control"].startswith("public")


async def test_a_secret_that_somebody_else_made_up_is_no_session(
    arnia: Node, visitor: httpx2.AsyncClient
) -> None:
    await a_person(arnia)
    for secret in ("A" * 43, "", "x" * 5_000, "%00"):
        visitor.cookies.set(cookie_name(arnia), secret)
        answer = await visitor.get("/en")
        assert answer.headers["cache-control"].startswith("public"), secret
        assert "set-cookie" not in answer.headers, "no visit makes a session"
        visitor.cookies.clear()
