"""What the operators of the demonstration do together: a purchase, meetings, contributions. All is invented.

Needs, decisions and what anybody says did not happen, and each title says so. Days are counted from today,
so that a deadline is still to come and a meeting has been held.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from federation.demo.communes import REGIONS, beneficiaries
from federation.demo.practices import PRACTICES, marked_title, say, with_mark
from federation.domain.territories.bodies import Body

_TERRITORIES = {"arnia": "FR-BFC", "maximilien": "FR-IDF", "megalis": "FR-BRE", "recia": "FR-CVL"}
CONSULTATION = "arnia/postes-reconditionnes"
HELD, PLANNED = "arnia/reunion-tenue", "arnia/reunion-prochaine"
_NEEDS = {
    # Portables, fixes, and the bodies that need them.
    "arnia": (140, 320, 9),
    "maximilien": (410, 150, 5),
    "megalis": (260, 275, 8),
    "recia": (95, 60, 4),
}


def shared_drafts(operator: str, today: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """(collection, draft) of what an operator publishes for the others: practices, a purchase, meetings."""
    for entry in PRACTICES:
        if entry.origin == operator:
            yield "practices", {"key": entry.key, "content": entry.content}
    if operator == CONSULTATION.split("/")[0]:
        yield "purchases", {"key": "groupement-postes", "content": _purchase()}
        yield "consultations", {"key": CONSULTATION.split("/")[1], "content": _consultation(today)}
        yield "meetings", {"key": HELD.split("/")[1], "content": _held_meeting(today)}
        yield "meetings", {"key": PLANNED.split("/")[1], "content": _planned_meeting(today)}


def answering_drafts(operator: str, today: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """(collection, draft) of what an operator adds to records of others, once it has copies of them."""
    yield "participations", {"key": "postes-reconditionnes", "content": _participation(operator)}
    for key, content in _contributions(operator):
        yield "contributions", {"key": key, "content": content}


def _purchase() -> dict[str, Any]:
    return {
        "title": marked_title(
            "Groupement de commandes pour les postes de travail", "Joint purchase of workstations"
        ),
        "summary": with_mark(
            "Un groupement permanent : les membres adhèrent une fois, et choisissent leurs consultations.",
            "A permanent group: members join once, and choose their consultations.",
        ),
        "kind": "groupement-de-commandes",
        "coordinator": {
            # No body has this number.
            "identifiers": [{"scheme": "0009", "value": "00000000000000"}],
            "name": "Coordonnateur inventé (démonstration)",
        },
        "joining": {
            "text": say(
                "La convention se signe avant la consultation : qui adhère après n’en a rien.",
                "The agreement is signed before the procedure: who joins later gets nothing from it.",
            ),
            "steps": [
                {"what": say("Délibération du conseil", "The council votes"), "weeks": 6},
                {"what": say("Signature de la convention", "The agreement is signed"), "weeks": 2},
            ],
        },
        "status": "open",
    }


def _consultation(today: datetime) -> dict[str, Any]:
    return {
        "purchase": "arnia/groupement-postes",
        "title": marked_title("Postes de travail reconditionnés", "Refurbished workstations"),
        "status": "gathering",
        "needs_until": _instant(today, 24, 16),
        "launch_on": _day(today, 45),
        "award_on": _day(today, 150),
        "themes": ["infrastructure"],
        "cpv": ["30213000-5"],
        "units": [
            {"key": "portable", "label": say("Ordinateurs portables", "Laptops")},
            {"key": "fixe", "label": say("Ordinateurs fixes", "Desktop computers")},
        ],
    }


def _participation(operator: str) -> dict[str, Any]:
    laptops, desktops, bodies = _NEEDS[operator]
    communes = [b for b in beneficiaries(REGIONS[_TERRITORIES[operator]]) if b.kind == "commune"]
    chosen = communes[:: len(communes) // bodies][:bodies]
    return {
        "consultation": CONSULTATION,
        "state": "need-given" if operator != "recia" else "interested",
        "bodies": {"kind": "list", "beneficiaries": [organisation(body) for body in chosen]},
        "needs": [
            {"unit": "portable", "quantity": laptops, "estimated_cents": laptops * 38_000},
            {"unit": "fixe", "quantity": desktops, "estimated_cents": desktops * 29_000},
        ],
    }


def needs_in_all() -> dict[str, int]:
    """The quantities of all operators together, by unit."""
    return {
        "portable": sum(laptops for laptops, _, _ in _NEEDS.values()),
        "fixe": sum(desktops for _, desktops, _ in _NEEDS.values()),
    }


def _held_meeting(today: datetime) -> dict[str, Any]:
    return {
        "title": marked_title("Réunion mensuelle des opérateurs", "Monthly meeting of the operators"),
        "starts_at": _instant(today, -12, 13),
        "ends_at": _instant(today, -12, 15),
        "time_zone": "Europe/Paris",
        "place": "Dijon, et en visioconférence",
        "status": "held",
        "series": "mensuelle",
        "attending": ["arnia", "maximilien", "megalis", "recia"],
        "agenda": [
            {"title": say("Vulnérabilité de GLPI", "Vulnerability of GLPI"), "minutes": 30, "by": "arnia"},
            {"title": say("Achat de postes", "Purchase of workstations"), "minutes": 45, "by": "arnia"},
            {
                "title": say("Accueil d’un nouvel opérateur", "A new operator"),
                "minutes": 15,
                "by": "megalis",
            },
        ],
        "decisions": [
            {
                "text": say(
                    "La consultation porte sur des postes reconditionnés.",
                    "The consultation is about refurbished workstations.",
                ),
                "on": _day(today, -12),
            },
            {
                "text": say(
                    "Chaque opérateur répond aux incidents dans la journée.",
                    "Each operator answers incidents within a day.",
                ),
                "on": _day(today, -12),
            },
        ],
        "tasks": [
            {
                "key": "besoins",
                "text": say("Recueillir les besoins des communes", "Gather the needs of the communes"),
                "owner": "recia",
                "due": _day(today, 20),
            },
            {
                "key": "convention",
                "text": say("Relire la convention", "Read the agreement again"),
                "owner": "megalis",
                "due": _day(today, -2),
            },
        ],
        "minutes": say(
            "Réunion **inventée** pour la démonstration.", "A meeting **invented** for the demonstration."
        ),
    }


def _planned_meeting(today: datetime) -> dict[str, Any]:
    return {
        "title": marked_title("Réunion mensuelle des opérateurs", "Monthly meeting of the operators"),
        "starts_at": _instant(today, 18, 13),
        "ends_at": _instant(today, 18, 15),
        "time_zone": "Europe/Paris",
        "url": "https://visio.example.org/mensuelle",
        "status": "planned",
        "series": "mensuelle",
        "attending": ["arnia", "megalis"],
        "agenda": [
            {"title": say("Besoins en postes : où en est-on ?", "Needs: where do we stand?"), "minutes": 30}
        ],
    }


def _contributions(operator: str) -> Iterator[tuple[str, dict[str, Any]]]:
    held, planned = ({"type": "meeting", "id": id_} for id_ in (HELD, PLANNED))
    match operator:
        case "maximilien":
            yield (
                "question-garantie",
                {
                    "about": {"type": "consultation", "id": CONSULTATION},
                    "kind": "question",
                    "text": say(
                        "Quelle durée de garantie ? (question inventée)",
                        "How long is the guarantee? (an invented question)",
                    ),
                },
            )
        case "megalis":
            yield "convention-relue", {"about": held, "kind": "task-done", "task": "convention"}
            yield (
                "point-archivage",
                {
                    "about": planned,
                    "kind": "agenda-item",
                    "text": say(
                        "Archivage des marchés : qui est prêt ? (point inventé)",
                        "Archiving of contracts: who is ready? (an invented point)",
                    ),
                },
            )
        case "recia":
            yield "presence", {"about": planned, "kind": "attendance"}


def organisation(body: Body) -> dict[str, Any]:
    """A body of the register, as records name it."""
    numbers = (("0002", body.siren), ("cog", body.cog))
    identifiers = [{"scheme": scheme, "value": value} for scheme, value in numbers if value]
    return {"identifiers": identifiers, "name": body.name, "type": body.kind}


def _instant(today: datetime, days: int, hour: int) -> str:
    moment = (today + timedelta(days=days)).replace(hour=hour, minute=0, second=0, microsecond=0)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _day(today: datetime, days: int) -> str:
    return (today + timedelta(days=days)).date().isoformat()
