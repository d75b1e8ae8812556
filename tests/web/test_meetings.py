"""Pages of meetings, practices, contributions and calendars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from federation.domain.content.contribution import Contribution
from federation.domain.content.meeting import Meeting
from federation.domain.query import Query
from federation.domain.visibility import itself
from federation.node import contributions, records
from federation.node.node import Node
from federation.web.entries import decoder
from tests.exposure.deployments import copy
from tests.nodes import publish
from tests.people.people import a_person, log_in
from tests.purchasing.records import a_meeting
from tests.web.browser import SAME_ORIGIN, links, shown
from tests.web.statements import counted

PAGE = "/fr/meetings/arnia/one"


def soon(days: float = 3) -> str:
    return (datetime.now(UTC) + timedelta(days=days, minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")


def meeting(**members: Any) -> dict[str, Any]:
    times = {"starts_at": soon(), "ends_at": soon(3.1)}
    agenda = [
        {"title": {"fr": "Bilan", "en": "Review"}, "minutes": 20, "by": "arnia"},
        {"title": {"fr": "Achats"}},
    ]
    return a_meeting(**{**times, "agenda": agenda, **members})


def a_task(**members: Any) -> dict[str, Any]:
    return {
        "key": "plan",
        "text": {"fr": "Publier le plan"},
        "owner": "arnia",
        "due": "2026-01-31",
        **members,
    }


def a_practice(**members: Any) -> dict[str, Any]:
    return {
        "title": {"fr": "Migrer"},
        "summary": {"fr": "Douze communes."},
        "kind": "achievement",
        "body": {"fr": "## Contexte\n\nUn tableur."},
        "results": [{"label": {"fr": "Communes"}, "value": "37.5", "unit": "%"}],
        "assets": [{"title": {"fr": "Plan"}, "url": "https://arnia.example.org/plan.pdf"}],
        "audience_kinds": ["commune"],
        **members,
    }


async def as_person(arnia: Node, visitor: httpx2.AsyncClient, role: str) -> None:
    await log_in(arnia, visitor, await a_person(arnia, "Anne", role))
    visitor.headers.update(SAME_ORIGIN)


async def stored(arnia: Node) -> Any:
    found = await records.find(arnia, Meeting, "arnia", "one", by=itself("arnia"))
    return decoder(Meeting).decode(found.document)


# Meetings


async def test_meetings_are_for_those_who_may_see_them(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "meeting", "one", meeting())
    await publish(arnia, "meeting", "public", meeting(title={"fr": "Webinaire"}), tlp="CLEAR")
    await publish(arnia, "meeting", "canary", meeting(title={"fr": "Canari"}), tlp="RED")
    text = shown(await visitor.get("/fr/meetings"))
    assert "Webinaire" in text
    assert "Réunion mensuelle" not in text
    assert "Canari" not in text
    shown(await visitor.get(PAGE), 404)
    await as_person(arnia, visitor, "reader")
    text = shown(await visitor.get("/fr/meetings"))
    assert "Réunion mensuelle" in text
    assert "Canari" not in text
    assert "Bilan" in shown(await visitor.get(PAGE))
    assert "Canari" not in (await visitor.get("/fr/meetings.csv")).text


async def test_the_next_meeting_comes_first(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    for name, days in (("Passée", -5), ("Prochaine", 1), ("Lointaine", 40), ("Ancienne", -50)):
        await publish(
            arnia,
            "meeting",
            f"m{days}",
            meeting(title={"fr": name}, starts_at=soon(days), ends_at=None),
            tlp="CLEAR",
        )
    text = shown(await visitor.get("/fr/meetings"))
    assert sorted(("Passée", "Prochaine", "Lointaine", "Ancienne"), key=text.index) == [
        "Prochaine", "Lointaine", "Passée", "Ancienne",
    ]  # fmt: skip


async def test_a_meeting_shows_decisions_tasks_and_what_is_overdue(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await as_person(arnia, visitor, "reader")
    tasks = [a_task(), a_task(key="done", text={"fr": "Inviter"}, done_on="2026-01-02")]
    decisions = [{"text": {"fr": "On continue."}, "on": "2026-01-02"}]
    await publish(
        arnia,
        "meeting",
        "one",
        meeting(tasks=tasks, decisions=decisions, status="held", minutes={"fr": "## Bonne réunion <script>"}),
    )
    await visitor.get(PAGE)
    with counted() as statements:
        answer = await visitor.get(PAGE)
    assert len([statement for statement in statements if not statement.endswith("FROM node")]) <= 8
    text = shown(answer)
    for part in ("On continue.", "Publier le plan", "en retard", "faite", "Bonne réunion <script>"):
        assert part in text
    assert "<h3>Bonne réunion &lt;script&gt;</h3>" in answer.text
    assert f"{PAGE}/agenda" not in links(answer)


async def test_agenda_minutes_and_closing_are_separate_acts(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "meeting", "one", meeting())
    await as_person(arnia, visitor, "editor")

    async def act(name: str, **fields: str) -> httpx2.Response:
        page = await visitor.get(f"{PAGE}/{name}")
        shown(page)
        state = page.text.partition('name="record_state" value="')[2].partition('"')[0]
        return await visitor.post(f"{PAGE}/{name}", data={"record_state": state, **fields})

    answer = await act(
        "agenda",
        **{
            "title-0": "Bilan", "minutes-0": "15", "by-0": "arnia", "place-0": "2",
            "title-1": "", "place-1": "1", "title-2": "Budget", "place-2": "1",
        },
    )  # fmt: skip
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?done=published")
    entry = await stored(arnia)
    assert [(point.title, point.minutes) for point in entry.content.agenda] == [
        ({"fr": "Budget"}, None), ({"fr": "Bilan", "en": "Review"}, 15),
    ]  # fmt: skip
    assert entry.tlp == "GREEN"
    answer = await act(
        "minutes",
        **{
            "minutes": "## Fin\r\n\r\n- un", "decision-0": "On continue.", "on-0": "2026-01-02",
            "task-0": "Écrire", "owner-0": "megalis", "due-0": "2026-02-01",
        },
    )  # fmt: skip
    assert answer.status_code == 303
    content = (await stored(arnia)).content
    assert content.minutes == {"fr": "## Fin\n\n- un"}
    assert [(task.key, task.owner, task.due) for task in content.tasks] == [("t1", "megalis", "2026-02-01")]
    assert len(content.agenda) == 2
    answer = await act("closing", status="held", attending="arnia\r\nmegalis arnia")
    assert answer.status_code == 303
    content = (await stored(arnia)).content
    assert (content.status, content.attending, len(content.decisions)) == ("held", ("arnia", "megalis"), 1)


async def test_faults_of_an_act_stand_beside_their_fields_and_nothing_is_overwritten_unseen(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "meeting", "one", meeting())
    await as_person(arnia, visitor, "editor")
    page = await visitor.get(f"{PAGE}/agenda")
    state = page.text.partition('name="record_state" value="')[2].partition('"')[0]
    wrong = {"title-0": "A", "title-2": "B", "by-2": "Not An Id", "minutes-0": "x", "record_state": state}
    answer = await visitor.post(f"{PAGE}/agenda", data=wrong)
    shown(answer, 400)
    assert 'id="fault-by-2"' in answer.text
    assert 'id="fault-minutes-0"' in answer.text
    assert 'value="Not An Id"' in answer.text
    await publish(arnia, "meeting", "one", meeting(place="Dijon"))
    answer = await visitor.post(f"{PAGE}/agenda", data={"title-0": "A", "record_state": state})
    assert "modifié cette fiche entre-temps" in shown(answer, 400)
    assert (await stored(arnia)).content.place == "Dijon"


async def test_only_editors_of_its_operator_change_a_meeting(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "meeting", "one", meeting(), tlp="CLEAR")
    await copy(arnia, "meeting", "megalis/one", meeting(), tlp="GREEN")
    visitor.headers.update(SAME_ORIGIN)
    assert (await visitor.post(f"{PAGE}/closing", data={"status": "held"})).status_code == 401
    await as_person(arnia, visitor, "reader")
    shown(await visitor.post(f"{PAGE}/closing", data={"status": "held"}), 403)
    await as_person(arnia, visitor, "editor")
    shown(await visitor.get("/fr/meetings/megalis/one/agenda"), 403)
    assert not [
        link for link in links(await visitor.get("/fr/meetings/megalis/one")) if link.endswith("/agenda")
    ]
    assert f"{PAGE}/agenda" in links(await visitor.get(PAGE))


# Contributions


async def test_others_add_records_of_their_own_in_order(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await copy(arnia, "meeting", "megalis/one", meeting(tasks=[a_task()]), tlp="GREEN")
    page = "/fr/meetings/megalis/one"
    await as_person(arnia, visitor, "editor")
    shown(await visitor.get(page))
    for fields in (
        {"kind": "agenda-item", "text": "Parlons de GLPI", "key": "c1"},
        {"kind": "agenda-item", "text": "Parlons de GLPI", "key": "c1"},
        {"kind": "task-done", "task": "plan", "key": "c2"},
    ):
        answer = await visitor.post(f"{page}/contributions", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{page}?done=published"), (
            answer.text
        )
    text = shown(await visitor.get(page))
    assert text.index("Parlons de GLPI") < text.rindex("tâche faite")
    assert "signalée faite" in text
    found = await contributions.beneath(arnia, "meeting", "megalis/one", by=itself("arnia"))
    assert [(entry.key, entry.tlp) for entry in found.entries] == [("c1", "GREEN"), ("c2", "GREEN")]
    assert [getattr(entry.content, "kind", None) for entry in found.entries] == ["agenda-item", "task-done"]


async def test_a_contribution_without_its_text_is_refused_beside_the_field(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "meeting", "one", meeting())
    await as_person(arnia, visitor, "editor")
    answer = await visitor.post(f"{PAGE}/contributions", data={"kind": "question", "text": " "})
    shown(answer, 400)
    assert 'id="fault-text"' in answer.text
    answer = await visitor.post(f"{PAGE}/contributions", data={"kind": "odd", "text": "Quoi ?"})
    shown(answer, 400)
    assert 'id="fault-kind"' in answer.text
    assert "Quoi ?" in answer.text


async def test_to_a_record_for_a_group_nobody_adds_and_a_reader_adds_nothing(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await copy(arnia, "meeting", "megalis/closed", meeting(), tlp="AMBER", audience="circle")
    await publish(arnia, "meeting", "one", meeting())
    await log_in(arnia, visitor, await a_person(arnia, "Chef", "administrator", label="RED"))
    visitor.headers.update(SAME_ORIGIN)
    page = "/fr/meetings/megalis/closed"
    assert "réservée à un groupe" in shown(await visitor.get(page))
    shown(await visitor.post(f"{page}/contributions", data={"kind": "comment", "text": "x"}), 400)
    await as_person(arnia, visitor, "reader")
    shown(await visitor.post(f"{PAGE}/contributions", data={"kind": "comment", "text": "x"}), 403)
    listed = await arnia_contributions(arnia)
    assert listed == 0


async def arnia_contributions(arnia: Node) -> int:
    documents, _, _ = await records.collect(arnia, Query(kind=Contribution), by=itself("arnia"))
    return len(documents)


# Practices


async def test_a_practice_shows_results_files_and_licence(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "practice", "migrer", a_practice())
    await publish(arnia, "practice", "canary", a_practice(title={"fr": "Canari"}), tlp="GREEN")
    text = shown(await visitor.get("/fr/practices"))
    assert "Migrer" in text
    assert "Canari" not in text
    answer = await visitor.get("/fr/practices/arnia/migrer")
    text = shown(answer)
    for part in ("37,5 %", "Contexte", "communes", "etalab-2.0"):
        assert part in text or part.lower() in text.lower(), part
    assert "https://arnia.example.org/plan.pdf" in links(answer)
    shown(await visitor.get("/fr/practices/arnia/canary"), 404)
    assert "Canari" not in (await visitor.get("/fr/practices.csv")).text
    assert "Migrer" in shown(await visitor.get("/fr/practices?audience_kind=commune"))
    assert "Rien ne correspond" in shown(await visitor.get("/fr/practices?audience_kind=region"))


# Calendars


async def test_a_calendar_address_is_shown_once_and_ends(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    assert "/calendar.ics?language=fr" in (await visitor.get("/fr/calendars")).text
    visitor.headers.update(SAME_ORIGIN)
    assert (await visitor.post("/fr/calendars", data={"do": "new"})).status_code == 401
    await as_person(arnia, visitor, "reader")
    answer = await visitor.post("/fr/calendars", data={"do": "new"})
    shown(answer)
    assert answer.headers["cache-control"] == "no-store"
    address = answer.text.partition(f"{arnia.url}/calendar/")[2].partition("<")[0]
    assert address.endswith(".ics?language=fr")
    assert address not in (await visitor.get("/fr/calendars")).text
    path = f"/calendar/{address}"
    assert (await visitor.get(path)).status_code == 200
    assert (await visitor.post("/fr/calendars", data={"do": "end"})).status_code == 303
    assert (await visitor.get(path)).status_code == 404
