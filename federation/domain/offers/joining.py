"""The first acts of joining: a mail to the operator, and the text that a council votes."""

from __future__ import annotations

import re
from urllib.parse import quote

from federation.domain.content.offer import Offer
from federation.domain.offers.answers import NUMBERS
from federation.domain.offers.quote import PricedBody
from federation.domain.territories.public_bodies import PublicBody

BLANK = "……………"
"""For what is not known and is to be filled in by hand."""
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_SUBJECT = {"en": "Joining: {title} – {name}", "fr": "Demande d'adhésion : {title} – {name}"}
_MAIL = {
    "en": (
        "Hello,\n\n{name} (SIREN {siren}) would like to join your offer “{title}” ({id}).\n{numbers}\n"
        "Please tell us the next steps.\n\nKind regards,\n"
    ),
    "fr": (
        "Bonjour,\n\n{name} (SIREN {siren}) souhaite rejoindre votre offre « {title} » ({id}).\n{numbers}\n"
        "Merci de nous indiquer les prochaines étapes.\n\nBien cordialement,\n"
    ),
}
_NUMBER_NAMES = {
    "population": {"en": "Inhabitants", "fr": "Nombre d'habitants"},
    "agents": {"en": "Agents", "fr": "Nombre d'agents"},
    "users": {"en": "Users", "fr": "Nombre d'utilisateurs"},
    "gigabytes": {"en": "Gigabytes", "fr": "Volume en gigaoctets"},
    "member_communes": {"en": "Member communes", "fr": "Nombre de communes membres"},
}
_COLONS = {"en": ": ", "fr": " : "}
DELIBERATION = """\
{name}
SIREN : {siren}

EXTRAIT DU REGISTRE DES DÉLIBÉRATIONS

Séance du {date}

Objet : adhésion à « {title} », proposée par {operator}

Vu le code général des collectivités territoriales,

Considérant que {operator} propose aux organismes publics le service « {title} »,
Considérant le prix pour {name} : {price},

L'assemblée délibérante, après en avoir délibéré :

- DÉCIDE d'adhérer au service « {title} » proposé par {operator} ;
- APPROUVE le prix indiqué ci-dessus et INSCRIT les crédits nécessaires au budget ;
- AUTORISE son exécutif à signer tout document nécessaire à l'exécution de la présente délibération.

Pour : ……   Contre : ……   Abstentions : ……

Fait le {date}
Signature :
"""
"""The text of an offer that gives none. It is a draft in general terms, to be read before it is voted."""


def mailto(offer: Offer, id_: str, body: PublicBody, priced: PricedBody) -> dict[str, str]:
    """Addresses of a mail to the operator, in English and French."""
    addresses = {}
    for language, (subject, text) in _ENCODED.items():
        values = {
            "title": quote(in_language(offer.title, language)),
            "id": id_,
            "name": quote(body.name or body.id),
            "siren": body.siren or quote(BLANK),
            "numbers": "".join(
                f"{_ENCODED_NUMBERS[number][language]}{value}{_LINE_END}"
                for number in NUMBERS
                if (value := priced.number(number)) is not None
            ),
        }
        start = f"mailto:{quote(offer.contact, safe='@')}?subject="
        addresses[language] = f"{start}{subject.format_map(values)}&body={text.format_map(values)}"
    return addresses


def _encoded(text: str) -> str:
    """A template with everything percent-encoded but its placeholders (RFC 6068)."""
    return quote(text.replace("\n", "\r\n"), safe="{}")


_LINE_END = _encoded("\n")
_ENCODED_NUMBERS = {
    number: {language: _encoded(f"{name}{_COLONS[language]}") for language, name in names.items()}
    for number, names in _NUMBER_NAMES.items()
}
_ENCODED = {language: (_encoded(_SUBJECT[language]), _encoded(_MAIL[language])) for language in _MAIL}
"""Encoded once: to encode a whole mail for each offer takes most of the time of an answer."""


def in_language(words: dict[str, str], language: str) -> str:
    """A text in a language; in English, or in its first language, where it has no other."""
    return words.get(language) or words.get("en") or next(iter(words.values()), "")


def deliberation(
    template: str | None, *, title: str, operator: str, body: PublicBody, price: str, date: str
) -> str:
    """The text of a deliberation with the names, the price and the day in it.

    Only the names of the schema are replaced; other braces stay as they are, since a peer may write any.
    """
    values = {
        "name": body.name or BLANK,
        "siren": body.siren or BLANK,
        "price": price,
        "date": date,
    }
    if template is None:
        template, values = DELIBERATION, values | {"title": title, "operator": operator}
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)
