"""The label of a record that a source gives: never wider than that of the source (TLP 2.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from federation.domain.errors import Invalid
from federation.domain.visibility import TLPS, Tlp

WITH_AUDIENCE = ("AMBER", "AMBER+STRICT")
LABEL_MEMBERS = ("tlp", "audience")


class GivenLabel(NamedTuple):
    """The label that a record of a source is to have."""

    bound: Tlp | None
    """The narrowest of all labels that the source, its administrator and the item name: none is wider."""
    is_named: bool
    """Whether the administrator or the item names one; else a narrower label of the type is good, too."""
    audience: str | None


def given_label(
    members: Mapping[str, Any], source: Tlp | None, reading: Tlp | None, audience: str | None
) -> GivenLabel:
    """The label that an item is to have. Raises Invalid."""
    of_item = members.get("tlp")
    if of_item is not None and of_item not in TLPS:
        raise Invalid("the label is one of {labels}", pointer="/tlp", labels=", ".join(TLPS))
    named = [label for label in (of_item, source) if label is not None]
    bound = narrowest(*named, *([reading] if reading is not None else []))
    return GivenLabel(bound, bool(named), members.get("audience") or audience)


def narrowest(*labels: Tlp) -> Tlp | None:
    """The label that the fewest readers see; None without any."""
    return max(labels, key=TLPS.index, default=None)


def next_label(given: GivenLabel, before: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Label and audience of the next draft; empty for those of the type.

    A label that a person chose stays, unless it would be wider than the source's.
    """
    present: Tlp | None = stored.get("tlp")
    if present is None or (given.is_named and present == before.get("tlp")):
        label = given.bound if given.is_named else None
    else:
        label = narrowest(present, *([given.bound] if given.bound is not None else []))
    if label is None:
        return {}
    if label not in WITH_AUDIENCE:
        return {"tlp": label}
    audience = (stored.get("audience") if present in WITH_AUDIENCE else None) or given.audience
    return {"tlp": label, "audience": audience} if audience else {"tlp": label}
