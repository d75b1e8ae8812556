"""The reasons of answers about versions: verdict, meaning, and a step that settles the unknown ones."""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["affected", "unknown", "not_affected"]
Reason = Literal[
    "in-range", "listed", "series", "every-version", "named", "stated",
    "no-version", "rolling", "version-unsure", "version-unreadable", "version-coarse",
    "no-range", "range-as-text", "range-unreadable", "range-coarse", "scheme-unknown", "order-unsure",
    "release-unsure", "software-unsure", "name-only", "not-understood",
    "outside-range", "fixed-version", "no-version-affected", "not-in-use",
]  # fmt: skip


class Meaning(NamedTuple):
    """A verdict and a sentence, in the two languages of the node."""

    verdict: Verdict
    en: str
    fr: str


REASONS: dict[Reason, Meaning] = {
    "named": Meaning(
        "affected", "the incident names this deployment", "l'incident nomme ce déploiement"
    ),
    "stated": Meaning(
        "affected",
        "its operator says that it is affected",
        "son opérateur déclare qu'il est touché",
    ),
    "every-version": Meaning(
        "affected", "every version is affected", "toutes les versions sont touchées"
    ),
    "listed": Meaning(
        "affected",
        "the version is one of those that the incident lists",
        "la version est une de celles que l'incident énumère",
    ),
    "in-range": Meaning(
        "affected",
        "the version is in the affected range",
        "la version est dans l'intervalle touché",
    ),
    "series": Meaning(
        "affected",
        "the version is of a series that the incident lists",
        "la version appartient à une série que l'incident énumère",
    ),
    "no-version": Meaning(
        "unknown", "the deployment names no version", "le déploiement n'indique aucune version"
    ),
    "rolling": Meaning(
        "unknown",
        "the version is said to change all the time",
        "la version est déclarée comme changeant en continu",
    ),
    "version-unsure": Meaning(
        "unknown",
        "the version is said not to be known",
        "la version est déclarée comme inconnue",
    ),
    "version-unreadable": Meaning(
        "unknown",
        "the version cannot be read as one of this scheme",
        "la version est illisible pour ce type de numérotation",
    ),
    "version-coarse": Meaning(
        "unknown",
        "the version names a series of which some are affected and others are not",
        "la version désigne une série dont une partie seulement est touchée",
    ),
    "no-range": Meaning(
        "unknown",
        "the incident names no range of versions",
        "l'incident n'indique aucun intervalle de versions",
    ),
    "range-as-text": Meaning(
        "unknown",
        "the incident tells its range in words only",
        "l'incident ne décrit son intervalle qu'en toutes lettres",
    ),
    "range-unreadable": Meaning(
        "unknown",
        "the incident's range cannot be read",
        "l'intervalle de l'incident est illisible",
    ),
    "range-coarse": Meaning(
        "unknown",
        "the range names a series, and may mean all its versions or the first of them",
        "l'intervalle désigne une série : toutes ses versions, ou la première seulement",
    ),
    "scheme-unknown": Meaning(
        "unknown",
        "the scheme of the incident's range is not known here",
        "le type de numérotation de l'intervalle n'est pas connu ici",
    ),
    "order-unsure": Meaning(
        "unknown",
        "whether the version comes before a bound of the range cannot be told",
        "l'ordre entre la version et une borne de l'intervalle est incertain",
    ),
    "release-unsure": Meaning(
        "unknown",
        "the package is affected in one release of the distribution, and this may be of another",
        "le paquet est touché dans une version de la distribution, et celui-ci peut être d'une autre",
    ),
    "software-unsure": Meaning(
        "unknown",
        "only the record that the incident names says that this is the same software",
        "seule la fiche que l'incident nomme dit qu'il s'agit du même logiciel",
    ),
    "name-only": Meaning(
        "unknown",
        "only a name led from the advisory to this software, and no identifier",
        "seul un nom relie l'avis à ce logiciel, aucun identifiant",
    ),
    "not-understood": Meaning(
        "unknown",
        "this node does not understand a record that the answer rests on: a newer version may",
        "ce nœud ne comprend pas une fiche dont dépend la réponse ; une version plus récente peut-être",
    ),
    "fixed-version": Meaning(
        "not_affected",
        "the version is named as one that is fixed",
        "la version est citée comme corrigée",
    ),
    "outside-range": Meaning(
        "not_affected",
        "the version is outside the affected range",
        "la version est en dehors de l'intervalle touché",
    ),
    "no-version-affected": Meaning(
        "not_affected", "no version is affected", "aucune version n'est touchée"
    ),
    "not-in-use": Meaning(
        "not_affected",
        "the deployment is planned or retired",
        "le déploiement est prévu ou retiré",
    ),
}  # fmt: skip
"""The meaning of each reason, the strongest first: of several, the first here is the answer."""

_EXACT_VERSION = (
    'record the exact version of the deployment, with "version_state": "exact"',
    'enregistrez la version exacte du déploiement, avec "version_state": "exact"',
)
_ADVISORY = (
    "read the advisory and answer with a statement; its author can publish the range as `vers`",
    "lisez l'avis et répondez par une déclaration ; son auteur peut publier l'intervalle en `vers`",
)
SETTLED_BY: dict[Reason, tuple[str, str]] = {
    "no-version": _EXACT_VERSION,
    "rolling": (
        "find which version ran when the flaw was fixed, and answer with a statement",
        "cherchez quelle version tournait lors de la correction, et répondez par une déclaration",
    ),
    "version-unsure": _EXACT_VERSION,
    "version-unreadable": (
        "record the version as its publisher writes it, such as 10.0.17, without words",
        "enregistrez la version telle que son éditeur l'écrit, comme 10.0.17, sans mots",
    ),
    "version-coarse": _EXACT_VERSION,
    "no-range": _ADVISORY,
    "range-as-text": _ADVISORY,
    "range-unreadable": _ADVISORY,
    "range-coarse": (
        "read in the advisory which versions of the series it means, and answer with a statement",
        "lisez dans l'avis quelles versions de la série il vise, et répondez par une déclaration",
    ),
    "scheme-unknown": _ADVISORY,
    "order-unsure": (
        "compare the version with the bounds by hand, and answer with a statement",
        "comparez vous-même la version aux bornes, et répondez par une déclaration",
    ),
    "release-unsure": (
        "look up the release in the advisory, and answer with a statement",
        "cherchez dans l'avis la version de votre distribution, et répondez par une déclaration",
    ),
    "software-unsure": (
        "name the same repository or package in your solution if it is the same software, else answer with a"
        " statement",
        "indiquez le même dépôt ou paquet dans votre solution si c'est le même logiciel, sinon répondez par"
        " une déclaration",
    ),
    "not-understood": (
        "upgrade this node; until then ask the operator whose record it is",
        "mettez ce nœud à jour ; d'ici là, demandez à l'opérateur dont c'est la fiche",
    ),
    "name-only": (
        "name the package (purl or CPE) or the repository in the solution, or answer with a statement",
        "indiquez le paquet (purl ou CPE) ou le dépôt dans la solution, ou répondez par une déclaration",
    ),
}
"""A step that settles an unknown answer, in English and in French."""
