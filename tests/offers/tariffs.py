"""Real tariffs from public sources, as the content of offers."""

from __future__ import annotations

from typing import Any

ESTABLISHMENTS = ["ccas", "school", "syndicat", "other"]


def euros(amount: float) -> int:
    return round(amount * 1_000_000)


def tariff(*parts: dict[str, Any], currency: str = "EUR", vat: str = "excluded") -> dict[str, Any]:
    """A tariff of parts that are due for each body and year, where a part does not say otherwise."""
    common = {"label": {"fr": "Part"}, "when": "yearly", "basis": "body"}
    return {"currency": currency, "vat": vat, "parts": [{**common, **part} for part in parts]}


AMF_32 = tariff(
    {"kinds": ["commune"], "population": {"to": 199}, "micros": euros(48)},
    {"kinds": ["commune"], "population": {"from": 200, "to": 399}, "micros": euros(67)},
    {"kinds": ["commune"], "population": {"from": 400, "to": 600}, "micros": euros(77)},
    {
        "kinds": ["commune"],
        "population": {"from": 601},
        "basis": "inhabitant",
        "micros": euros(0.166),
        "maximum_cents": 3_850_000,
    },
    {
        "kinds": ["epci"],
        "population": {"from": 5_000},
        "basis": "inhabitant",
        "micros": euros(0.047),
        "maximum_cents": 820_000,
    },
)
"""Subscription to the association of mayors of the Gers, 2022."""
CDG_38 = tariff(
    *(
        {"when": when, "micros": euros(amount), **condition}
        for condition, amounts in (
            ({"kinds": ["commune"], "population": {"to": 1_500}}, (52, 36)),
            ({"kinds": ["commune"], "population": {"from": 1_501, "to": 5_000}}, (227, 158)),
            ({"kinds": ["commune"], "population": {"from": 20_001}}, (1_748, 1_212)),
            ({"kinds": ESTABLISHMENTS, "agents": {"to": 49}}, (227, 158)),
            ({"kinds": ESTABLISHMENTS, "agents": {"from": 351}}, (1_748, 1_212)),
        )
        for when, amount in zip(("first-year", "after-first"), amounts, strict=True)
    )
)
"""Pack of electronic administration of the management centre of the Isère, 2014; some bands are not known."""


def an_offer(**members: Any) -> dict[str, Any]:
    """The content of an offer: free, and for everybody."""
    pricing = "tariff" if "tariff" in members else "free"
    return {
        "solution": "arnia/glpi",
        "title": {"fr": "Gestion de parc (invention)"},
        "contact": "offres@arnia.example.org",
        "pricing": pricing,
        **members,
    }
