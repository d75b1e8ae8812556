"""Alerts by e-mail, at a real mail server: once, refused for now or for good, and with nothing injected."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from cryptography import x509

from federation.domain.alert import Alert, AlertState, Letter, NewSubscription, compose_letter
from federation.domain.errors import Invalid, NotFound, Unreachable
from federation.domain.visibility import itself
from federation.node import alert_delivery, alert_scan, alerts
from federation.node.node import Node
from federation.outbound import mail
from federation.outbound.mail import Mailer
from federation.settings.environment import read
from federation.settings.mail_server import mail_server as named
from federation.sync.network import Network
from tests.domain.builders import a_group, an_incident
from tests.exposure.deployments import a_vulnerability, cve, running
from tests.exposure.mail_server import PASSWORD, USER, Postbox, mail_server
from tests.nodes import a_node, answers, free_port, publish
from tests.sync.test_outbound import Authority
from tests.waiting import MAX_WAIT_SECONDS, until

SENDER, SOC = "federation@arnia.example.org", "soc@arnia.example.org"
SILENT = 0.5
"""Seconds after which the tests give up a server that says nothing."""


def mailer(url: str, **more: str) -> Mailer:
    """As the settings of the environment make it."""
    said = {"OPERATOR": "arnia", "SMTP_URL": url, "MAIL_FROM": SENDER, **more}
    server = named(read({f"FEDERATION_{name}": value for name, value in said.items()}))
    assert server is not None
    return Mailer(server)


def writing(node: Node, found: Mailer | int) -> None:
    """Have a node send its mail so: through a mailer, or plainly to a port of this machine."""
    through = mailer(f"smtp+plain://127.0.0.1:{found}") if isinstance(found, int) else found
    node._outside = Network(node.operator, node.keyring, through)


async def subscribed(node: Node, *events: str, email: str = SOC) -> str:
    wanted = NewSubscription(events=events or ("incident.published",), email=email)  # type: ignore[arg-type]
    return (await alerts.subscribe(node, wanted, by=itself("arnia"))).id


async def settle(node: Node) -> None:
    await alert_scan.add_alerts(node)
    while await alert_delivery.deliver(node):
        pass


async def listed(node: Node, *, parked: bool = False) -> tuple[AlertState, ...]:
    async with node.store.read() as tx:
        return await tx.alerts.listed(parked=parked)


def later(node: Node, hours: float = 1) -> None:
    """Let time go by."""
    moment = node.clock() + timedelta(hours=hours)
    node.clock = lambda: moment


A_LETTER = Letter(
    id="0199-1",
    to=SOC,
    subject="[federation] x",
    text="é\nb\n.\nc",
    at=datetime(2026, 3, 1, 8, 30, tzinfo=UTC),
)


# How it is handed over


class Door(NamedTuple):
    scheme: str
    tls: bool
    starttls: bool


DOORS = {
    "tls": Door("smtps", True, False),
    "starttls": Door("smtp", False, True),
    "plain": Door("smtp+plain", False, False),
}


@asynccontextmanager
async def behind(
    door: Door, room: Path, *names: x509.GeneralName
) -> AsyncIterator[tuple[Postbox, dict[str, str]]]:
    """A mail server behind this door, and the setting that has its certificate believed."""
    authority = Authority(room)
    context = authority.server(*(names or (x509.IPAddress(ipaddress.ip_address("127.0.0.1")),)))
    async with mail_server(
        tls=context if door.tls else None,
        starttls=context if door.starttls else None,
        login=door.tls or door.starttls,
    ) as box:
        yield box, {"SMTP_CA_FILE": str(authority.pem)} if door.tls or door.starttls else {}


@pytest.mark.parametrize("kind", DOORS)
async def test_a_letter_is_handed_over_by_tls_by_starttls_and_plainly_on_ones_own_machine(
    kind: str, tmp_path: Path
) -> None:
    door = DOORS[kind]
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    async with behind(door, tmp_path) as (box, trust):
        user = "" if kind == "plain" else f"{quote(USER, safe='')}@"
        file = {} if kind == "plain" else {"SMTP_PASSWORD_FILE": str(tmp_path / "password")}
        await mailer(f"{door.scheme}://{user}127.0.0.1:{box.port}", **file, **trust).send(A_LETTER)
    (one,) = box.letters
    assert box.goodbyes == 1
    assert box.envelopes == [(SENDER, (SOC,))]
    assert box.logins == ([] if kind == "plain" else [(USER, PASSWORD, True)])
    assert [(name, str(one[name])) for name in ("From", "To", "Subject")] == [
        ("From", SENDER),
        ("To", SOC),
        ("Subject", "[federation] x"),
    ]
    assert one["Message-ID"] == "<0199-1@arnia.example.org>"
    assert parsedate_to_datetime(one["Date"]) == A_LETTER.at
    assert one["Auto-Submitted"] == "auto-generated"
    assert one.get_content().splitlines() == ["é", "b", ".", "c"], "a line of one dot ends nothing"


async def test_a_password_in_the_url_is_decoded(tmp_path: Path) -> None:
    async with behind(DOORS["tls"], tmp_path) as (box, trust):
        login = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
        await mailer(f"smtps://{login}@127.0.0.1:{box.port}", **trust).send(A_LETTER)
    assert box.logins == [(USER, PASSWORD, True)]


async def test_a_password_that_is_changed_in_its_file_is_used_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("the former one")
    async with behind(DOORS["tls"], tmp_path) as (box, trust):
        url = f"smtps://{quote(USER, safe='')}@127.0.0.1:{box.port}"
        through = mailer(url, SMTP_PASSWORD_FILE=str(file), **trust)
        with pytest.raises(Unreachable, match="does not let us in: 535") as refusal:
            await through.send(A_LETTER)
        assert not refusal.value.final, "an administrator mends that"
        file.write_text(PASSWORD)
        await through.send(A_LETTER)
        file.unlink()
        with pytest.raises(Unreachable, match="FEDERATION_SMTP_PASSWORD_FILE cannot be read"):
            await through.send(A_LETTER)
    assert len(box.letters) == 1


@pytest.mark.parametrize("kind", ["tls", "starttls"])
async def test_a_server_whose_certificate_does_not_hold_learns_nothing(kind: str, tmp_path: Path) -> None:
    door = DOORS[kind]
    login = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
    async with behind(door, tmp_path) as (box, _):
        with pytest.raises(Unreachable, match="certificate does not hold") as refusal:
            await mailer(f"{door.scheme}://{login}@127.0.0.1:{box.port}").send(A_LETTER)
        assert PASSWORD not in refusal.value.detail
    async with behind(door, tmp_path, x509.DNSName("mail.example.org")) as (other, trust):
        with pytest.raises(Unreachable, match="certificate does not hold"):
            await mailer(f"{door.scheme}://{login}@127.0.0.1:{other.port}", **trust).send(A_LETTER)
    assert (box.logins, box.seen, other.logins, other.seen) == ([], [], [], [])


async def test_starttls_that_is_not_offered_is_not_done_without() -> None:
    async with mail_server() as box:
        with pytest.raises(Unreachable, match="STARTTLS"):
            await mailer(f"smtp://127.0.0.1:{box.port}").send(A_LETTER)
    assert box.seen == []


async def test_mail_without_tls_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ``localhost`` means to the resolver."""
    monkeypatch.setattr(mail, "is_loopback", lambda host: False)
    async with mail_server() as box:
        with pytest.raises(Unreachable, match="stays on this machine"):
            await mailer(f"smtp+plain://localhost:{box.port}").send(A_LETTER)
    assert box.seen == []


# What the server says


REFUSALS = [
    ("MAIL", "553 5.1.8 no such sender", True),
    ("RCPT", "550 5.1.1 no such mailbox", True),
    ("RCPT", "450 4.2.1 greylisted", False),
    ("DATA", "554 5.7.1 looks like spam", True),
    ("DATA", "451 4.3.0 the disk is full", False),
    ("MAIL", "530 5.7.0 log in first", False),
    ("MAIL", "534 5.7.9 this way of logging in is too weak", False),
    ("MAIL", "535 5.7.8 who are you", False),
    ("MAIL", "538 5.7.11 not without encryption", False),
    ("MAIL", "555 what is this", True),
    ("RCPT", "500 what is this", True),
]


@pytest.mark.parametrize(("command", "answer", "final"), REFUSALS, ids=lambda v: str(v)[:12])
async def test_what_is_refused_for_good_is_parked_with_the_reason_and_for_now_is_tried_again(
    arnia: Node, command: str, answer: str, final: bool
) -> None:
    async with mail_server() as box:
        writing(arnia, box.port)
        await subscribed(arnia)
        await cve(arnia)
        box.answers[command] = [answer]
        await settle(arnia)
        (one,) = await listed(arnia)
        assert one.failure == f"the mail server refused it: {answer}"
        assert (one.parked_at is not None, one.next_try_at is None) == (final, final)
        later(arnia)
        await settle(arnia)
        assert len(box.letters) == (0 if final else 1)
        if final:
            await alerts.replay(arnia, one.id, by=itself("arnia"))
            await settle(arnia)
            assert len(box.letters) == 1, "it is there for when the mailbox is"


async def test_what_is_refused_for_good_holds_up_nothing_else(arnia: Node) -> None:
    async with mail_server() as box:
        writing(arnia, box.port)
        await subscribed(arnia)
        for number in range(6):
            await publish(arnia, "incident", f"i{number}", an_incident())
        await alert_scan.add_alerts(arnia)
        box.answers["DATA"] = ["554 5.7.1 looks like spam"] * 4
        await alert_delivery.deliver(arnia)
        assert await alert_delivery.deliver(arnia) == 2
    assert len(box.letters) == 2


async def test_each_attempt_is_the_same_letter(arnia: Node) -> None:
    async with mail_server() as box:
        writing(arnia, box.port)
        await subscribed(arnia)
        await cve(arnia)
        box.answers["DATA"] = ["451 4.3.0 not now"] * 2
        for _ in range(4):
            await settle(arnia)
            later(arnia)
    assert (len(box.seen), len(box.letters)) == (3, 1)
    assert {(one["Message-ID"], one["Date"], one.get_content()) for one in box.seen} == {
        (box.letters[0]["Message-ID"], box.letters[0]["Date"], box.letters[0].get_content())
    }
    (one,) = await listed(arnia)
    assert box.letters[0]["Message-ID"] == f"<{one.id}@arnia.example.org>"
    assert abs(parsedate_to_datetime(box.letters[0]["Date"]) - one.at) < timedelta(seconds=1)


async def test_a_server_that_is_gone_gets_it_when_it_is_back(arnia: Node) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    writing(arnia, port)
    await subscribed(arnia)
    await cve(arnia)
    await settle(arnia)
    (one,) = await listed(arnia)
    assert (one.parked_at, one.attempts) == (None, 1)
    assert (one.failure or "").startswith("the mail server cannot be used")
    async with mail_server(port=port) as box:
        later(arnia)
        await settle(arnia)
    assert len(box.letters) == 1


async def test_what_was_taken_is_not_sent_again_because_the_goodbye_failed(arnia: Node) -> None:
    async with mail_server() as box:
        writing(arnia, box.port)
        await subscribed(arnia)
        await cve(arnia)
        box.answers["DATA"] = ["cut"]
        for _ in range(3):
            await settle(arnia)
            later(arnia)
    assert len(box.letters) == len(box.seen) == 1


async def test_a_server_that_says_nothing_is_given_up(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "SEND_SECONDS", SILENT)
    async with mail_server() as box:
        writing(arnia, box.port)
        await subscribed(arnia)
        await cve(arnia)
        box.answers["DATA"] = ["hang"]
        await settle(arnia)
        (one,) = await listed(arnia)
        assert one.failure == "the mail server did not answer in time"
        box.answers.clear()  # a slow machine may have come to the end before the letter
        monkeypatch.setattr(mail, "SEND_SECONDS", MAX_WAIT_SECONDS)
        later(arnia)
        await settle(arnia)
    assert len(box.letters) == 1


async def test_a_server_that_never_comes_to_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then, or a reply of more lines than anybody reads."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"2")
            await asyncio.sleep(0.05)

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220-and more\r\n" * 100_000)

    for answer, whole, why in (
        (drip, SILENT, "in time"),
        (flood, MAX_WAIT_SECONDS, "cannot be used|not ready"),
    ):
        monkeypatch.setattr(mail, "SEND_SECONDS", whole)
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            with pytest.raises(Unreachable, match=why):
                await mailer(f"smtp+plain://127.0.0.1:{server.sockets[0].getsockname()[1]}").send(A_LETTER)


# Once


async def test_one_letter_for_each_event_and_subscription_over_a_restart(arnia: Node, dsn: str) -> None:
    async with mail_server() as box:
        writing(arnia, box.port)
        await subscribed(arnia)
        await subscribed(arnia, email="rssi@arnia.example.org")
        await cve(arnia)
        await settle(arnia)
        async with a_node("arnia", dsn) as after:
            writing(after, box.port)
            await settle(after)
            await publish(after, "incident", "second", an_incident())
            await alert_scan.add_alerts(after)  # and it dies before it has delivered anything
        async with a_node("arnia", dsn) as last:
            writing(last, box.port)
            await asyncio.gather(*(alert_delivery.deliver(node) for node in (arnia, last)))
            later(last)
            await settle(last)
    assert sorted((one["To"], one["Subject"].rpartition(" ")[2]) for one in box.letters) == [
        ("rssi@arnia.example.org", "arnia/cve"),
        ("rssi@arnia.example.org", "arnia/second"),
        (SOC, "arnia/cve"),
        (SOC, "arnia/second"),
    ]
    assert len({one["Message-ID"] for one in box.letters}) == 4


async def test_a_node_that_is_killed_tells_each_event_once(arnia: Node, dsn: str) -> None:
    """Real processes, ended with -9 and begun again, while incidents are published."""
    port = free_port()
    async with mail_server() as box:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FEDERATION_")} | {
            "FEDERATION_OPERATOR": "arnia", "FEDERATION_DATABASE_URL": dsn, "FEDERATION_PORT": str(port),
            "FEDERATION_SMTP_URL": f"smtp+plain://127.0.0.1:{box.port}", "FEDERATION_MAIL_FROM": SENDER,
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }  # fmt: skip
        writing(arnia, box.port)
        await subscribed(arnia)
        for number in range(3):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "federation.cli", "serve", env=environment,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                await answers(f"http://127.0.0.1:{port}/health/ready")
                await publish(arnia, "incident", f"i{number}", an_incident())

                async def told(number: int = number) -> bool:
                    return any(
                        one.subject == f"arnia/i{number}" and one.delivered_at for one in await listed(arnia)
                    )

                await until(told)
            finally:
                process.kill()
                await process.wait()
    assert sorted(one["Subject"].rpartition(" ")[2] for one in box.letters) == [
        "arnia/i0",
        "arnia/i1",
        "arnia/i2",
    ]


# What is in it


async def test_a_letter_says_what_happened_where_to_look_and_how_to_end_it(arnia: Node) -> None:
    async with mail_server() as box:
        writing(arnia, box.port)
        made = await subscribed(arnia, "incident.published", "incident.affects-mine")
        await publish(arnia, "deployment", "one", running())
        await cve(arnia, title={"fr": "Panne générale", "en": "It is down"})
        await settle(arnia)
    by_event = {one["Subject"].split()[1]: one for one in box.letters}
    assert set(by_event) == {"incident.published:", "incident.affects-mine:"}
    text = by_event["incident.published:"].get_content()
    for line in (
        "An incident has been published by an operator.",
        "title (fr): Panne générale",
        "title (en): It is down",
        "link: http://arnia.test/v1/incidents/arnia/cve",
        f"To end it: federation subscription remove {made}",
    ):
        assert line in text.splitlines()
    assert "deployments: arnia/one" in by_event["incident.affects-mine:"].get_content().splitlines()


async def test_above_green_a_letter_holds_ids_and_links_and_no_content(arnia: Node) -> None:
    async with mail_server() as box:
        writing(arnia, box.port)
        await subscribed(arnia, "incident.published", "incident.changed", "incident.affects-mine")
        await publish(arnia, "group", "close", a_group(members=["megalis"]))
        await publish(arnia, "deployment", "one", running("10.0.17"))
        for tlp, more in (("GREEN", {}), ("AMBER", {"audience": "close"}), ("RED", {})):
            for number in range(2):
                content = a_vulnerability(
                    title={"fr": f"canari-{tlp}"}, summary={"fr": f"canari-{tlp}-{number}"},
                    aliases=[f"CVE-2099-{tlp}"],
                )  # fmt: skip
                await publish(arnia, "incident", f"i-{tlp.lower()}", content, tlp=tlp, **more)
                await settle(arnia)
        await publish(arnia, "incident", "i-green", a_vulnerability(title={"fr": "canari-RED"}), tlp="RED")
        await settle(arnia)
    told = "\n".join(f"{dict(one.items())}{one.get_content()}" for one in box.letters)
    assert len(box.letters) == 10
    assert "canari-GREEN" in told
    for word in ("canari-AMBER", "canari-RED", "CVE-2099"):
        assert word not in told


HOSTILE = "x\r\nBcc: everybody@example.org\r\n\r\nlink: https://evil.example\u202e\x00"


def _read(written: Letter) -> EmailMessage:
    message = mailer("smtp+plain://127.0.0.1")._message(written)
    assert [name for name in message] == [
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted",
        "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    ]  # fmt: skip
    return message


def test_no_value_begins_a_header_or_a_line() -> None:
    data: dict[str, Any] = {
        "id": HOSTILE, "title": {"fr": HOSTILE}, "deployments": [HOSTILE], "reason": "é" * 5_000, "link": "https://n/x",
    }  # fmt: skip
    alert = Alert(
        id="1", event="record.rejected", subject=HOSTILE, at=datetime(2026, 3, 1, tzinfo=UTC), data=data
    )
    written = compose_letter(alert, to=SOC, subscription="s", node="arnia")
    message = _read(written)
    assert message["Bcc"] is None
    raw = message.as_bytes()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    starts = [line.split(":")[0] for line in written.text.splitlines() if ":" in line]
    assert starts == ["id", "title (fr)", "deployments", "reason", "link", "To end it"]
    assert "\u202e" not in written.text
    assert "\x00" not in written.text


@pytest.mark.parametrize(
    "mailbox",
    [
        "soc@example.org\r\nBcc: x@example.org", "a,b@example.org", "x@y@example.org", "(x)soc@example.org",
        "søc@example.org",
        "soc;x@example.org", ".soc@example.org", "soc@example..org", "soc@-example.org", "soc@example.org\n",
        f"{'x' * 65}@example.org",
    ],
)  # fmt: skip
async def test_a_mailbox_that_two_could_read_differently_is_refused(arnia: Node, mailbox: str) -> None:
    writing(arnia, 25)
    with pytest.raises(Invalid) as refusal:
        await subscribed(arnia, email=mailbox)
    assert refusal.value.pointer == "/email"
    await subscribed(arnia, email="o'neil+soc.1@example.org")


# Trying it


async def test_an_administrator_can_try_whether_mail_is_taken(arnia: Node) -> None:
    async with mail_server() as box:
        writing(arnia, box.port)
        made = await subscribed(arnia)
        await alert_delivery.send_test(arnia, made, by=itself("arnia"))
        assert box.letters[0]["Subject"] == f"[federation] subscription.test: {made}"
        assert (
            "Somebody tries whether this subscription is told; nothing has happened."
            in box.letters[0].get_content()
        )
        assert await listed(arnia) == (), "it is no alert"
        box.answers["RCPT"] = ["550 5.1.1 no such mailbox"]
        with pytest.raises(Unreachable, match="no such mailbox"):
            await alert_delivery.send_test(arnia, made, by=itself("arnia"))
        with pytest.raises(NotFound):
            await alert_delivery.send_test(arnia, "none", by=itself("arnia"))
