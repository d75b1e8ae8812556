"""One example of each type, shown in the OpenAPI document and published under ``schemas/examples``.

They are demonstration: no statement about what any operator runs.
"""

from __future__ import annotations

from typing import Any

DRAFTS: dict[str, dict[str, Any]] = {
    "solution": {
        "tlp": "CLEAR",
        "same_as": ["https://www.wikidata.org/entity/Q1466580"],
        "content": {
            "name": "GLPI",
            "summary": {
                "fr": "Gestion de parc informatique et assistance aux utilisateurs",
                "en": "IT asset management and service desk",
            },
            "kind": "software",
            "status": "stable",
            "licence": "GPL-3.0-or-later",
            "themes": ["it-asset-management", "service-desk"],
            "repository": "https://github.com/glpi-project/glpi",
            "packages": [{"cpe": "cpe:2.3:a:glpi-project:glpi:*:*:*:*:*:*:*:*"}],
            "version_scheme": "generic",
        },
    },
    "deployment": {
        "content": {
            "solution": "arnia/glpi",
            "status": "production",
            "tenancy": "shared",
            "hosting": {"model": "operator", "country": "FR"},
            "coverage": {
                "kind": "list",
                "beneficiaries": [
                    {
                        "identifiers": [
                            {"scheme": "0002", "value": "217100767"},
                            {"scheme": "cog", "value": "71076"},
                        ],
                        "name": "Chalon-sur-Saône",
                        "type": "commune",
                    }
                ],
            },
            "version": "10.0.17",
            "version_state": "exact",
            "since": "2024-09-01",
            "environment": "demonstration",
            "attestation": "declared",
        },
    },
    "incident": {
        "content": {
            "title": {
                "fr": "GLPI : injection SQL sans authentification",
                "en": "GLPI: SQL injection without authentication",
            },
            "summary": {
                "fr": "Le point d'entrée d'inventaire permet une injection SQL. Corrigé en 10.0.18.",
                "en": "The inventory endpoint allows SQL injection. Fixed in 10.0.18.",
            },
            "kind": "vulnerability",
            "status": "open",
            "severity": "high",
            "detected_at": "2025-03-18T18:27:54Z",
            "affects": [
                {
                    "solution": "arnia/glpi",
                    "range": "vers:generic/>=10.0.0|<10.0.18",
                    "fixed_in": ["10.0.18"],
                }
            ],
            "aliases": ["CVE-2025-24799"],
            "remediations": [
                {"category": "vendor_fix", "version": "10.0.18", "text": {"fr": "Mettre à jour."}}
            ],
        },
    },
    "statement": {
        "content": {
            "incident": "arnia/CVE-2025-24799",
            "status": "known_affected",
            "deployments": ["arnia/glpi-mutualise"],
            "action": {
                "fr": "Mise à jour vers 10.0.18 pendant la nuit (démonstration).",
                "en": "Update to 10.0.18 during the night (demonstration).",
            },
            "planned_at": "2025-03-20T22:00:00Z",
        },
    },
    "operator": {
        "content": {
            "name": "L'ARNia (démonstration)",
            "country": "FR",
            "territory": ["FR-BFC"],
            "contact": "contact@arnia.example.org",
            "security_contact": "securite@arnia.example.org",
        },
    },
    "group": {
        "content": {
            "name": "Cellule sécurité (démonstration)",
            "members": ["megalis", "recia"],
            "purpose": {"fr": "Incidents en cours d'analyse"},
        },
    },
    "membership": {
        "content": {
            "operator": "megalis",
            "name": "Mégalis Bretagne (démonstration)",
            "node": "https://federation.megalis.example.org",
            "thumbprint": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "admitted_at": "2026-03-02T09:00:00Z",
        },
    },
}
PATCHES: dict[str, dict[str, Any]] = {
    "solution": {"content": {"status": "obsolete", "repository": None}},
    "deployment": {"content": {"version": "10.0.18", "hosting": {"country": None}}},
    "incident": {"content": {"status": "fixed"}},
    "statement": {"content": {"status": "fixed", "planned_at": None}},
    "operator": {"content": {"homepage": "https://arnia.example.org/"}},
    "group": {"content": {"members": ["megalis", "recia", "soluris"]}},
    "membership": {"content": {"name": "Mégalis Bretagne"}},
}
"""Merge patches of the drafts: null removes a member."""
KEYS = {
    "solution": "glpi",
    "deployment": "glpi-mutualise",
    "incident": "CVE-2025-24799",
    "statement": "CVE-2025-24799",
    "operator": "arnia",
    "group": "security",
    "membership": "megalis",
}
UPDATE = {
    "status": "mitigated",
    "text": {"fr": "Accès à l'inventaire coupé.", "en": "Access to the inventory was cut."},
}

ADVISORY: dict[str, Any] = {
    "id": "PYSEC-2013-1",
    "published": "2013-09-16T19:14:00Z",
    "details": "Ansible before 1.2.3 allows local users to redirect a ssh session by a symbolic link.",
    "affected": [
        {
            "package": {"name": "ansible", "ecosystem": "PyPI", "purl": "pkg:pypi/ansible"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]}],
        }
    ],
}
SUBSCRIPTION: dict[str, Any] = {
    "events": ["incident.affects-mine", "incident.unanswered"],
    "webhook": "https://itsm.example.org/hooks/federation",
    "unanswered_hours": 24,
}
DEADLINE: dict[str, Any] = {
    "title": "Exfiltration de données (démonstration)",
    "regimes": ["nis2", "gdpr"],
    "aware_at": "2026-01-15T08:30:00Z",
    "done": [{"step": "nis2-early-warning", "at": "2026-01-15T17:00:00Z", "reference": "2026-0042"}],
}

REGISTRATION: dict[str, Any] = {
    "operator": "megalis",
    "client_name": "Mégalis Bretagne",
    "client_uri": "https://federation.megalis.example.org",
    "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "…", "y": "…"}]},
    "software_statement": "eyJ…",
}
"""What a newcomer's node sends with an invitation."""

FEEDBACK: dict[str, Any] = {
    "audience": "public",
    "entries": [
        {
            "seq": 17,
            "type": "solution",
            "key": "glpi",
            "revision": 3,
            "reason": "bad-document",
            "detail": "Invalid value at /content/licence",
        }
    ],
}
