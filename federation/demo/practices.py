"""Five practices of the operators of the demonstration. All are invented; the solutions are real."""

from __future__ import annotations

from typing import Any

from federation.demo.catalogue import CatalogueEntry

INVENTED = {
    "fr": "Exemple inventé pour la démonstration.",
    "en": "An example, invented for the demonstration.",
}


def say(fr: str, en: str) -> dict[str, str]:
    """A text in both languages."""
    return {"fr": fr, "en": en}


def marked_title(fr: str, en: str) -> dict[str, str]:
    """A title that says that it is of the demonstration."""
    return {"fr": f"{fr} (démonstration)", "en": f"{en} (demonstration)"}


def with_mark(fr: str, en: str) -> dict[str, str]:
    """A summary that says that its subject is invented."""
    return {"fr": f"{fr} {INVENTED['fr']}", "en": f"{en} {INVENTED['en']}"}


def _practice(
    id: str, kind: str, title: dict[str, str], summary: dict[str, str], body: dict[str, str], **more: Any
) -> CatalogueEntry:
    origin, key = id.split("/")
    content = {
        "title": title,
        "summary": summary,
        "kind": kind,
        "body": body,
        "contact": f"contact@{origin}.example.org",
    }
    return CatalogueEntry(origin=origin, key=key, content=content | more)


PRACTICES = (
    _practice(
        "arnia/inventaire-en-un-mois",
        "achievement",
        marked_title("Un inventaire du parc en un mois", "An inventory of all machines in a month"),
        with_mark(
            "Comment 40 communes ont inventorié leurs postes avec l’agent de GLPI.",
            "How 40 communes made an inventory of their machines with the agent of GLPI.",
        ),
        say(
            "## Ce qui a marché\n\n1. Une réunion d’une heure avec les secrétaires de mairie.\n"
            "2. L’agent installé à distance, commune par commune.\n3. Un appel une semaine après.\n\n"
            "## Ce qui a coûté du temps\n\nLes postes éteints : prévoir **deux passages**.",
            "## What worked\n\n1. An hour with the secretaries of the communes.\n"
            "2. The agent, installed from afar, one commune after the other.\n3. A call one week later.\n\n"
            "## What took time\n\nMachines that were switched off: plan for **two rounds**.",
        ),
        solutions=["arnia/glpi"],
        themes=["it-asset-management"],
        results=[
            {"label": say("Communes inventoriées", "Communes with an inventory"), "value": "40"},
            {"label": say("Temps par commune", "Time for each commune"), "value": "1.5", "unit": "h"},
        ],
        audience_kinds=["commune"],
        date="2026-06-30",
    ),
    _practice(
        "arnia/charte-ia",
        "template",
        marked_title("Une charte d’usage de l’IA à reprendre", "A charter for the use of AI, to be adapted"),
        with_mark(
            "Deux pages que le conseil peut adopter telles quelles.",
            "Two pages that a council can adopt as they are.",
        ),
        say(
            "La charte dit ce que l’on peut confier à l’assistant, et ce que l’on ne lui confie **jamais** : "
            "état civil, action sociale, ressources humaines.",
            "The charter says what may be given to the assistant, and what **never** may: civil status, "
            "social work, human resources.",
        ),
        solutions=["arnia/cmonia"],
        themes=["ai"],
        date="2026-09-15",
    ),
    _practice(
        "maximilien/accueil-accessible",
        "guide",
        marked_title("Rendre un formulaire accessible", "Make a form accessible"),
        with_mark(
            "Dix vérifications avant de mettre un formulaire en ligne.",
            "Ten checks before a form goes online.",
        ),
        say(
            "| Vérification | Comment |\n|---|---|\n| Étiquettes | chaque champ en a une |\n"
            "| Clavier | tout se fait sans souris |\n| Erreurs | dites à côté du champ |",
            "| Check | How |\n|---|---|\n| Labels | each field has one |\n"
            "| Keyboard | all can be done without a mouse |\n| Errors | said beside the field |",
        ),
        solutions=["maximilien/demarches-simplifiees"],
        themes=["e-administration"],
        date="2026-03-10",
    ),
    _practice(
        "megalis/panne-du-parapheur",
        "lesson",
        marked_title(
            "Ce que nous a appris une panne du parapheur", "Lessons of an outage of the signature book"
        ),
        with_mark(
            "Une journée sans signature, et trois mesures depuis.",
            "A day without signatures, and three measures since.",
        ),
        say(
            "La panne a duré sept heures. Depuis : un *second certificat* prêt, une procédure papier, et un "
            "message aux communes dans le quart d’heure.",
            "The outage lasted seven hours. Since then: a *second certificate* at hand, a procedure on "
            "paper, and a message to the communes within a quarter of an hour.",
        ),
        solutions=["megalis/i-parapheur"],
        themes=["signature"],
        date="2026-05-04",
    ),
    _practice(
        "recia/formation-hameconnage",
        "training",
        marked_title("Une heure contre l’hameçonnage", "One hour against phishing"),
        with_mark(
            "Le déroulé d’une formation d’une heure pour les agents.",
            "The course of one hour for agents.",
        ),
        say(
            "- 10 min : trois messages, un seul est vrai\n- 30 min : les signes\n- 20 min : qui appeler",
            "- 10 min: three messages, one of them is real\n- 30 min: the signs\n- 20 min: whom to call",
        ),
        solutions=["recia/moodle"],
        themes=["cybersecurity"],
        results=[
            {
                "label": say("Agents formés", "Agents trained"),
                "value": "312",
                "as_of": "2026-10-01",
            }
        ],
        date="2026-10-02",
    ),
)
"""Five practices, by id."""
