"""The main menu: the pages that a visitor may open, in the order of what most come for."""

from __future__ import annotations

from federation.web.language import screen_text as t

MENU: tuple[tuple[str, str, str | None], ...] = (
    ("/commune", t("My commune"), None),
    ("/solutions", t("Solutions"), None),
    ("/status", t("Status"), None),
    ("/practices", t("Practices"), None),
    ("/purchases", t("Joint purchases"), None),
    ("/operators", t("Operators"), None),
    ("/meetings", t("Meetings"), "meetings.read"),
    ("/incidents", t("Incidents"), "incidents.read"),
    ("/deployments", t("Deployments"), "deployments.read"),
    ("/mine", t("Ours"), "incidents.write"),
    ("/admin", t("Administration"), "node.admin"),
)
"""Path, name, and the scope that its visitor needs; None: anybody."""


def menu(scopes: frozenset[str]) -> list[tuple[str, str]]:
    """Path and name of each page that the menu of a visitor with these rights has."""
    return [(path, name) for path, name, scope in MENU if scope is None or scope in scopes]
