"""Contracts of DECP 2.0.3, the published essential data of French public contracts, as consultations.

Source: schema_decp_v2.0.3.json (139bercy/format-commande-publique). Read leniently, since published files are
not all valid: the older forms (a list ``marches``, holders without ``titulaire`` around them), numbers as
texts, missing members. A member that cannot be used is left out and named; a contract without a number, a
buyer or an object is a fault. The strict writer is ``domain/purchasing/decp.py``.

Modifications replace amount, duration and holders of the contract, the latest one last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from federation.domain.canonical import check_depth
from federation.domain.content.consultation import Consultation
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid
from federation.domain.formats.advisory import text
from federation.domain.formats.sheets.lines import Faults
from federation.domain.formats.sheets.values import key_of
from federation.domain.messages import Message
from federation.domain.organisation import Identifier
from federation.domain.purchasing.decp import IDENTIFIER_TYPES
from federation.domain.sources.reading import Item, Reading

MAX_FILE_BYTES = 64 * 1_048_576
MAX_CONTRACTS = 10_000
"""Contracts of the wanted buyers in one file."""
MAX_PARTS = 200
"""Modifications, and holders, of one contract."""
_SCHEMES = {name: scheme for scheme, name in IDENTIFIER_TYPES.items()}
_CPV = re.compile(r"[0-9]{8}(-[0-9])?")
_SIRET = re.compile(r"[0-9]{14}")


def read_decp(
    raw: bytes,
    *,
    purchase: str | None = None,
    buyers: Collection[str] = (),
    keys: Mapping[str, str] = {},
) -> Reading:
    """The contracts of a file, as consultations of a purchase. Raises Invalid for a file of another form.

    ``buyers``: SIREN of the buyers whose contracts are wanted, all without any. ``keys``: keys of
    consultations that exist, by the numbers of their contracts;
    another contract gets a key of its buyer and its number.
    """
    faults = Faults()
    items: list[Item] = []
    places: dict[str, str] = {}
    for index, market in enumerate(_markets(_decode(raw))):
        place = f"marche[{index}]"
        if not isinstance(market, dict):
            faults.add(place, Message("the contract is no object"))
            continue
        buyer = _buyer(market)
        if buyers and (buyer or "")[:9] not in buyers:
            continue
        item = _item(market, buyer, place, purchase, keys, faults)
        if item is None:
            continue
        if item.key in places:
            message = Message(
                "the contract {id} is there twice: {place}", {"id": item.identity, "place": places[item.key]}
            )
            faults.add(place, message, "id")
            continue
        places[item.key] = place
        items.append(item)
        if len(items) > MAX_CONTRACTS:
            raise Invalid(
                "the file has more than {maximum} contracts: name the buyers", maximum=MAX_CONTRACTS
            )
    return Reading(tuple(items), faults.all(), is_complete=not len(faults))


def _decode(raw: bytes) -> Any:
    if len(raw) > MAX_FILE_BYTES:
        raise Invalid(
            "the file is {size} bytes long; {maximum} are read", size=len(raw), maximum=MAX_FILE_BYTES
        )
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    check_depth(raw)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Invalid("the file is not JSON: {reason}", reason=str(error)[:200]) from None


def _markets(value: Any) -> list[Any]:
    found = value.get("marches") if isinstance(value, dict) else value
    if isinstance(found, dict):
        found = found.get("marche", [])
    if not isinstance(found, list):
        raise Invalid("the file has no list of contracts (marches)")
    return found


def _buyer(market: Mapping[str, Any]) -> str | None:
    buyer = market.get("acheteur")
    id_ = buyer.get("id") if isinstance(buyer, dict) else None
    found = "".join(str(id_ or "").split())
    return found if _SIRET.fullmatch(found) and found.isascii() else None


def _item(
    market: Mapping[str, Any],
    buyer: str | None,
    place: str,
    purchase: str | None,
    keys: Mapping[str, str],
    faults: Faults,
) -> Item | None:
    id_, title = _text(market.get("id")), _text(market.get("objet"))
    missing = [name for name, value in (("id", id_), ("acheteur", buyer), ("objet", title)) if not value]
    for name in missing:
        faults.add(
            place, Message("the contract has no {member}, or none that can be read", {"member": name}), name
        )
    if missing or id_ is None or title is None:
        return None
    if len(id_) > 16:
        faults.add(
            place, Message("the number of a contract has at most 16 characters: {id}", {"id": id_[:40]}), "id"
        )
        return None
    notes: list[str] = ["status"]
    contract: dict[str, Any] = {"id": id_}
    if (notified := _day(market, "dateNotification", notes)) is not None:
        contract["notified_on"] = notified
    latest = _date(market.get("datePublicationDonnees"))
    _terms(market, contract, notes)
    for change in _modifications(market):
        _terms(change, contract, notes)
        published = _date(
            change.get("datePublicationDonneesModification") or change.get("datePublicationDonnees")
        )
        latest = max(filter(None, (latest, published)), default=None)
        if "modifications" not in notes:
            notes.append("modifications")
    content: dict[str, Any] = {"title": {"fr": text(title, 1_000)}, "status": "awarded", "contract": contract}
    cpv = "".join(str(market.get("codeCPV") or "").split())
    if _CPV.fullmatch(cpv) and cpv.isascii():
        content["cpv"] = [cpv]
    elif cpv:
        notes.append(f"codeCPV: {cpv[:20]}")
    if purchase is not None:
        content["purchase"] = purchase
        try:
            check_draft({"content": content}, Draft[Consultation])
        except Invalid as error:
            faults.refusal(place, error)
            return None
    return Item(
        type="consultations",
        key=keys.get(id_) or key_of(f"{buyer}-{id_}"),
        members={"content": content},
        place=place,
        identity=f"{buyer}/{id_}",
        changed_at=datetime(latest.year, latest.month, latest.day, tzinfo=UTC) if latest else None,
        defaulted=tuple(notes),
    )


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return text(str(value), 20_000) if str(value).strip() else None


def _terms(values: Mapping[str, Any], contract: dict[str, Any], notes: list[str]) -> None:
    """Set amount, duration and holders that the contract, or a modification of it, names."""
    months, amount = _number(values.get("dureeMois")), _number(values.get("montant"))
    if months is not None and months == int(months) and 1 <= months <= 1_200:
        contract["months"] = int(months)
    elif values.get("dureeMois") is not None:
        notes.append("dureeMois")
    if amount is not None and 0 <= amount < 10**13:
        contract["amount_cents"] = int((amount * 100).to_integral_value())
    elif values.get("montant") is not None:
        notes.append("montant")
    suppliers = list(_suppliers(values, notes))
    if suppliers:
        contract["suppliers"] = suppliers[:50]


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 40:
        return None
    try:
        number = Decimal("".join(str(value).split()).replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**15 else None


def _suppliers(values: Mapping[str, Any], notes: list[str]) -> Iterator[dict[str, Any]]:
    found = values.get("titulaires")
    seen: set[tuple[str, str]] = set()
    for entry in found[:MAX_PARTS] if isinstance(found, list) else ():
        holder = entry.get("titulaire", entry) if isinstance(entry, dict) else None
        if not isinstance(holder, dict):
            continue
        value = "".join(str(holder.get("id") or "").split())
        scheme = _SCHEMES.get(str(holder.get("typeIdentifiant") or ""))
        if scheme is None or not _is_identifier(scheme, value):
            notes.append(f"titulaires: {value[:40]}")
        elif (scheme, value) not in seen:
            seen.add((scheme, value))
            supplier = {"scheme": scheme, "value": value}
            name = holder.get("denominationSociale")
            if isinstance(name, str) and name.strip():
                supplier["name"] = text(name, 200)
            yield supplier


def _is_identifier(scheme: str, value: str) -> bool:
    try:
        msgspec.convert({"scheme": scheme, "value": value}, Identifier)
    except msgspec.ValidationError:
        return False
    return True


def _modifications(market: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The modifications, the latest one last."""
    found = market.get("modifications")
    entries = found[:MAX_PARTS] if isinstance(found, list) else []
    changes = [entry.get("modification", entry) for entry in entries if isinstance(entry, dict)]
    changes = [change for change in changes if isinstance(change, dict)]
    return sorted(changes, key=lambda change: str(change.get("dateNotificationModification") or ""))


def _date(value: Any) -> date | None:
    try:
        found = date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and 1970 <= found.year <= 2200 else None


def _day(market: Mapping[str, Any], member: str, notes: list[str]) -> str | None:
    found = _date(market.get(member))
    if found is None and market.get(member) is not None:
        notes.append(member)
    return found.isoformat() if found else None
