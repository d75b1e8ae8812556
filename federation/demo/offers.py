"""Offers of the demonstration: two of each operator. All of them, with their tariffs, are invented.

The solutions are real. That an operator offers one, to whom and at which price, is not: title and summary
say so wherever an offer is shown.
"""

from __future__ import annotations

from typing import Any

from federation.demo.catalogue import CatalogueEntry
from federation.demo.practices import marked_title, say

_INVENTED = {
    "fr": "Offre et tarif inventés pour la démonstration.",
    "en": "Offer and tariff are invented for the demonstration.",
}
_MICROS = 1_000_000
"""Of one euro."""
_STEPS = (
    ({"fr": "Délibération du conseil", "en": "The council votes"}, "commune", 6),
    ({"fr": "Convention signée des deux parts", "en": "Both sides sign the agreement"}, "operator", 2),
    ({"fr": "Ouverture du service et formation", "en": "The service opens, with a training"}, "operator", 3),
)
_ACTORS = {"commune": "Conseil municipal ou communautaire", "operator": "Opérateur"}
_DELIBERATION = """\
Le conseil de {name} (SIREN {siren}), réuni le {date},

Vu le code général des collectivités territoriales,
Considérant l'intérêt de disposer du service « SERVICE »,

Après en avoir délibéré,

DÉCIDE d'adhérer au service « SERVICE » ;
DIT que la dépense, soit {price}, est inscrite au budget ;
AUTORISE le maire ou le président à signer la convention.

(Texte inventé pour la démonstration.)"""


def _part(fr: str, en: str, euros: float, **more: Any) -> dict[str, Any]:
    """A part of a tariff: yearly and for each body, unless it is otherwise."""
    part = {
        "label": say(fr, en),
        "when": "yearly",
        "basis": "body",
        "micros": round(euros * _MICROS),
    }
    return part | more


def _communes(
    fr: str, en: str, euros: float, from_: int | None, to: int | None, **more: Any
) -> dict[str, Any]:
    bounds = {name: number for name, number in (("from", from_), ("to", to)) if number is not None}
    return _part(fr, en, euros, kinds=["commune"], population=bounds, **more)


def _offer(
    id: str,
    solution: str,
    title: dict[str, str],
    summary: dict[str, str],
    *parts: dict[str, Any],
    **more: Any,
) -> CatalogueEntry:
    origin, key = id.split("/")
    content: dict[str, Any] = {
        "solution": solution,
        "title": marked_title(title["fr"], title["en"]),
        "summary": {code: f"{text} {_INVENTED[code]}" for code, text in summary.items()},
        "contact": f"offres@{origin}.example.org",
        "pricing": "tariff" if parts else "free",
        "steps": [{"what": what, "who": _ACTORS[who], "weeks": weeks} for what, who, weeks in _STEPS],
        "deliberation_template": _DELIBERATION.replace("SERVICE", title["fr"]),
    }
    if parts:
        content["tariff"] = {
            "currency": "EUR",
            "vat": "excluded",
            "decided_on": "2026-01-15",
            "parts": list(parts),
        }
    return CatalogueEntry(origin=origin, key=key, content=content | more)


_UP_TO_499 = ("Communes de moins de 500 habitants", "Communes of fewer than 500 inhabitants")
_UP_TO_1999 = ("Communes de 500 à 1 999 habitants", "Communes of 500 to 1 999 inhabitants")
_FROM_2000 = ("Communes à partir de 2 000 habitants", "Communes of 2 000 inhabitants and more")

OFFERS = (
    _offer(
        "arnia/offre-parc-informatique",
        "arnia/glpi",
        say("Parc informatique et assistance", "IT assets and service desk"),
        say(
            "GLPI hébergé et tenu à jour, avec une assistance par téléphone.",
            "GLPI, hosted and kept up to date, with help by telephone.",
        ),
        _communes(*_UP_TO_499, 90, None, 499),
        _communes(*_UP_TO_1999, 0.24, 500, 1_999, basis="inhabitant"),
        _communes(*_FROM_2000, 0.19, 2_000, None, basis="inhabitant", maximum_cents=650_000),
        _part(
            "Intercommunalités", "Intercommunal bodies", 0.06,
            basis="inhabitant", kinds=["epci"], minimum_cents=40_000,
        ),
        _part("Mise en service", "Setting up", 60, when="once"),
        _part("Agent supplémentaire formé", "Training of one more agent", 45, when="once", optional=True),
        eligibility={"kinds": ["commune", "epci"], "territory": ["FR-BFC"]},
        trial_months=3,
    ),
    _offer(
        "arnia/offre-demarches",
        "arnia/publik",
        say("Démarches en ligne", "Online procedures"),
        say(
            "Formulaires en ligne, compte de l’usager et suivi des demandes.",
            "Online forms, an account for each citizen, follow-up of requests.",
        ),
        _part("Abonnement", "Subscription", 0.42, basis="inhabitant", minimum_cents=120_000),
        _part("Reprise des formulaires", "Transfer of existing forms", 900, when="first-year"),
        eligibility={"kinds": ["commune", "epci"], "territory": ["FR-BFC"], "population": {"from": 3_500}},
    ),
    _offer(
        "maximilien/offre-rendez-vous",
        "maximilien/rdv-service-public",
        say("Prise de rendez-vous en mairie", "Appointments at the town hall"),
        say(
            "Rendez-vous en ligne et rappels par SMS, pour les titres d’identité surtout.",
            "Appointments online and reminders by SMS, for identity documents above all.",
        ),
        _communes("Communes jusqu’à 9 999 habitants", "Communes up to 9 999 inhabitants", 180, None, 9_999),
        _communes("Communes à partir de 10 000 habitants", "Communes of 10 000 and more", 690, 10_000, None),
        eligibility={"kinds": ["commune"], "territory": ["FR-IDF"]},
    ),
    _offer(
        "maximilien/offre-supervision",
        "maximilien/centreon",
        say("Supervision des serveurs", "Monitoring of servers"),
        say(
            "Surveillance des serveurs et des liaisons, avec une astreinte en semaine.",
            "Servers and links are watched, with somebody on call on weekdays.",
        ),
        _part(
            "Intercommunalités et départements", "Intercommunal bodies and départements", 2_400,
            kinds=["epci", "departement"],
        ),
        _part("Par agent équipé", "For each agent with a workstation", 3.5, basis="agent"),
        eligibility={"kinds": ["epci", "departement", "syndicat"]},
    ),
    _offer(
        "megalis/offre-actes",
        "megalis/s2low",
        say("Bouquet des actes et des flux comptables", "Acts and accounting flows"),
        say(
            "Télétransmission des actes et des flux comptables, avec le parapheur électronique.",
            "Transmission of acts and accounting flows, with the electronic signature book.",
        ),
        _communes(*_UP_TO_499, 110, None, 499),
        _communes(*_UP_TO_1999, 240, 500, 1_999),
        _communes(*_FROM_2000, 0.21, 2_000, None, basis="inhabitant", maximum_cents=1_200_000),
        _part("Intercommunalités", "Intercommunal bodies", 1_450, kinds=["epci"]),
        _part("Certificat RGS (trois ans)", "RGS certificate (three years)", 145, when="once", optional=True),
        eligibility={"kinds": ["commune", "epci"], "territory": ["FR-BRE"]},
    ),
    _offer(
        "megalis/offre-archivage",
        "megalis/asalae",
        say("Archivage électronique", "Electronic archiving"),
        say(
            "Archivage à valeur probante des actes et des marchés.",
            "Archiving of acts and contracts with evidential value.",
        ),
        _part("Versement des actes", "Deposit of acts", 0.05, basis="inhabitant", minimum_cents=8_000),
        _part("Par gigaoctet conservé", "For each gigabyte stored", 1.2, basis="gigabyte", optional=True),
        eligibility={"kinds": ["commune", "epci"], "territory": ["FR-BRE"]},
        requires={"offers": ["megalis/offre-actes"]},
    ),
    _offer(
        "recia/offre-visioconference",
        "recia/bigbluebutton",
        say("Visioconférence pour les conseils", "Video conferences for councils"),
        say(
            "Séances de conseil et réunions publiques, enregistrées. Ouverte à toute la France.",
            "Council sittings and public meetings by video, with recordings. Open to the whole of France.",
        ),
        _communes(*_UP_TO_499, 48, None, 499),
        _communes("Communes à partir de 500 habitants", "Communes of 500 and more", 0.1, 500, None,
                  basis="inhabitant", minimum_cents=6_000, maximum_cents=250_000),
        _part("Intercommunalités", "Intercommunal bodies", 960, kinds=["epci"]),
        eligibility={"kinds": ["commune", "epci", "syndicat"]},
    ),
    _offer(
        "recia/offre-formation",
        "recia/moodle",
        say("Formation des agents et des élus", "Training of agents and councillors"),
        say(
            "Cours en ligne sur la sécurité informatique et les outils libres. Sans frais.",
            "Online courses on IT security and free software. Free of charge.",
        ),
        eligibility={"territory": ["FR-CVL", "FR-BFC"]},
    ),
)  # fmt: skip
"""Two offers of each operator, by id."""
