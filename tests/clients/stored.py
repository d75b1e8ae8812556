"""Records that a story has published, read without its client: values, revisions, and moments in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from tests.clients.node import OPERATOR, Serving

BULK = 5
"""Solutions of one bulk request."""
MOMENTS = {
    ("deployments", "glpi-shared", "version_as_of"): "2026-02-01T08:00:00Z",
    ("incidents", "2026-0042", "detected_at"): "2026-03-01T08:00:00Z",
    ("memberships", "megalis", "admitted_at"): "2026-02-01T08:00:00Z",
    ("statements", "2026-0042", "planned_at"): "2026-03-02T21:30:00Z",
}
"""By collection, key and member: what must be stored, in UTC, of what the story wrote with an offset."""
KEYS = {
    "solutions": ("glpi", *(f"bulk-{number}" for number in range(1, BULK + 1))),
    "deployments": ("glpi-shared",),
    "operators": ("operator",),
    "groups": ("security",),
    "memberships": ("megalis",),
    "incidents": ("2026-0042",),
    "statements": ("2026-0042",),
}
"""Keys of the records of a story, behind its prefix."""


def faults(serving: Serving, prefix: str) -> list[str]:
    """The differences between what the story had to publish and what the node stores."""
    with httpx2.Client(base_url=serving.url, trust_env=False) as client:
        token = client.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(serving.client_id, serving.client_secret),
        ).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        return list(_faults(client, prefix))


def _faults(client: httpx2.Client, prefix: str) -> Iterator[str]:
    documents: dict[tuple[str, str], dict[str, Any]] = {}
    for collection, keys in KEYS.items():
        for key in keys:
            answer = client.get(f"/v1/{collection}/{OPERATOR}/{prefix}-{key}")
            if answer.status_code == 200:
                documents[collection, key] = answer.json()
            else:
                yield f"{collection} {prefix}-{key}: {answer.status_code}"
    for (collection, key, member), expected in MOMENTS.items():
        found = documents.get((collection, key), {}).get("content", {}).get(member)
        if not same_moment(found, expected):
            yield f"{collection} {prefix}-{key}: {member} is {found}, not {expected}"
    incident = documents.get(("incidents", "2026-0042"), {"content": {}})
    if (incident.get("revision"), incident["content"].get("severity")) != (3, "critical"):
        yield f"incidents {prefix}-2026-0042: not revised twice, or not critical"
    updates = incident["content"].get("updates", [{}])
    if len(updates) != 1 or not same_moment(updates[0].get("at"), "2026-03-01T10:15:00Z"):
        yield f"incidents {prefix}-2026-0042: the timeline is {updates}"


def same_moment(found: str | None, expected: str) -> bool:
    """True for the same second of UTC, with or without decimals."""
    return found is not None and found.endswith("Z") and found[:19] == expected[:19]
