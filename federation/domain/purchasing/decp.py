"""The contract of a consultation in the members of DECP 2.0.3, the published essential data of contracts.

Source: schema_decp_v2.0.3.json of the French Ministry of the Economy (139bercy/format-commande-publique). A
record holds a part of what the schema requires. Members that it does not hold are left out and named, and
never made up: the buyer adds them before publishing.
"""

from __future__ import annotations

from typing import Any

from federation.domain.content.consultation import Consultation, Supplier
from federation.domain.content.purchase import SIRET, Purchase
from federation.domain.errors import Conflict

MAX_OBJECT_CHARACTERS = 1_000
IDENTIFIER_TYPES = {SIRET: "SIRET", "9957": "TVA"}
"""`typeIdentifiant` by the scheme of ISO 6523: an establishment (SIRET), a French VAT number."""
REQUIRED = (
    "id", "acheteur", "nature", "objet", "codeCPV", "techniques", "modalitesExecution", "marcheInnovant",
    "ccag", "offresRecues", "attributionAvance", "typeGroupementOperateurs", "procedure", "lieuExecution",
    "dureeMois", "dateNotification", "datePublicationDonnees", "montant", "typesPrix", "formePrix",
    "sousTraitanceDeclaree", "titulaires", "considerationsSociales", "considerationsEnvironnementales",
)  # fmt: skip
"""Members that the schema requires of a contract."""


def decp_of(consultation: Consultation, purchase: Purchase | None, *, name: str) -> dict[str, Any]:
    """The contract as DECP has it. ``purchase``: None where its record cannot be seen.

    Raises Conflict before the award, or without a contract in the record.
    """
    contract = consultation.contract
    if contract is None:
        raise Conflict(
            "{name} has no contract: its status is {status}, and a contract is published after the award",
            name=name,
            status=consultation.status,
        )
    title = consultation.title.get("fr") or next(iter(consultation.title.values()))
    market: dict[str, Any] = {"id": contract.id, "objet": title[:MAX_OBJECT_CHARACTERS]}
    if purchase is not None:
        siret = next(entry.value for entry in purchase.coordinator.identifiers if entry.scheme == SIRET)
        market["acheteur"] = {"id": siret}
    if consultation.cpv:
        # The schema would have the code without its check digit.
        market["codeCPV"] = consultation.cpv[0].partition("-")[0]
    if contract.months is not None:
        market["dureeMois"] = contract.months
    if contract.notified_on is not None:
        market["dateNotification"] = contract.notified_on
    if contract.amount_cents is not None and contract.amount_cents >= 100:
        market["montant"] = _euros(contract.amount_cents)
    holders = [holder for supplier in contract.suppliers if (holder := _holder(supplier)) is not None]
    if holders and len(holders) == len(contract.suppliers):
        market["titulaires"] = holders
    return {
        "marches": {"marche": [market]},
        "missing": [member for member in REQUIRED if member not in market],
    }


def _euros(cents: int) -> int | float:
    whole, rest = divmod(cents, 100)
    return whole if rest == 0 else cents / 100


def _holder(supplier: Supplier) -> dict[str, Any] | None:
    """A holder of the contract; None where DECP has no type for the register of its number."""
    kind = IDENTIFIER_TYPES.get(supplier.scheme)
    return None if kind is None else {"titulaire": {"id": supplier.value, "typeIdentifiant": kind}}
