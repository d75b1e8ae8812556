"""The needs of a consultation in a sentence, in the two languages of a node."""

from __future__ import annotations

from collections.abc import Sequence

from federation.domain.exposure.coverage import Tally
from federation.domain.messages import counted
from federation.domain.purchasing.answers import MissingNeed, Reach, UnitNeeds

RESTS_ON: dict[Reach, tuple[str, str]] = {
    "public": ("public participations alone", "les seules participations publiques"),
    "federation": ("participations that members see", "les participations que voient les membres"),
    "all": ("all participations stored here", "toutes les participations enregistrées ici"),
}


def summary(
    units: Sequence[UnitNeeds],
    bodies: Tally,
    missing: Sequence[MissingNeed] | None,
    *,
    at_least: bool,
    rests_on: Reach,
) -> dict[str, str]:
    """The sums in a sentence, with the records that they rest on."""
    english, french = RESTS_ON[rests_on]
    given = [unit for unit in units if unit.quantity is not None]
    if not given:
        return {
            "en": f"unknown: you see no need that was given in time; it rests on {english}",
            "fr": f"inconnu : vous ne voyez aucun besoin donné à temps ; cela repose sur {french}",
        }
    least = ("at least ", "au moins ") if at_least else ("", "")

    def quantities(language: str) -> str:
        return ", ".join(f"{_number(unit.quantity or 0)} {_label(unit, language)}" for unit in given)

    asked = len(missing) if missing is not None else 0
    return {
        "en": (
            f"{least[0]}{quantities('en')}, for {counted('en', bodies.bodies, 'body', 'bodies')};"
            + (f" {counted('en', asked, 'operator', 'operators')} still missing;" if asked else "")
            + f" it rests on {english}"
        ),
        "fr": (
            f"{least[1]}{quantities('fr')}, pour {counted('fr', bodies.bodies, 'organisme', 'organismes')} ;"
            + (
                f" {counted('fr', asked, 'opérateur manque', 'opérateurs manquent')} encore ;"
                if asked
                else ""
            )
            + f" cela repose sur {french}"
        ),
    }


def _number(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def _label(unit: UnitNeeds, language: str) -> str:
    labels = unit.label or {}
    return labels.get(language) or next(iter(labels.values()), unit.unit)
