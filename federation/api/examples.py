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
    "offer": {
        "content": {
            "solution": "arnia/glpi",
            "title": {"fr": "Gestion de parc mutualisée (démonstration)"},
            "summary": {"fr": "Une instance commune, hébergée et mise à jour pour les adhérents."},
            "contact": "offres@arnia.example.org",
            "pricing": "tariff",
            "eligibility": {"kinds": ["commune", "epci"], "territory": ["FR-BFC"]},
            "requires": {"text": {"fr": "Adhérer au groupement"}},
            "steps": [
                {"what": {"fr": "Délibération"}, "who": "conseil municipal", "weeks": 6},
                {"what": {"fr": "Ouverture de l'instance"}, "who": "L'ARNia", "weeks": 2},
            ],
            "deliberation_template": "Le conseil de {name} ({siren}) décide d'adhérer. Prix : {price}.",
            "tariff": {
                "currency": "EUR",
                "vat": "exempt",
                "decided_on": "2025-12-12",
                "parts": [
                    {
                        "label": {"fr": "Communes de moins de 500 habitants"},
                        "when": "yearly",
                        "basis": "body",
                        "micros": 48000000,
                        "kinds": ["commune"],
                        "population": {"to": 499},
                    },
                    {
                        "label": {"fr": "Autres adhérents, par habitant"},
                        "when": "yearly",
                        "basis": "inhabitant",
                        "micros": 166000,
                        "population": {"from": 500},
                        "maximum_cents": 3850000,
                    },
                ],
            },
            "deployments": ["arnia/glpi-mutualise"],
            "valid_from": "2026-01-01",
            "trial_months": 3,
        },
    },
    "practice": {
        "content": {
            "title": {"fr": "Migrer vers un outil libre de gestion de parc (démonstration)"},
            "summary": {"fr": "Calendrier, écueils et résultats d'une migration de douze communes."},
            "kind": "achievement",
            "body": {"fr": "## Contexte\n\nDouze communes géraient leur parc dans des tableurs."},
            "solutions": ["arnia/glpi"],
            "themes": ["it-asset-management"],
            "results": [
                {
                    "label": {"fr": "Communes équipées"},
                    "value": "12",
                    "unit": "communes",
                    "as_of": "2026-02-01",
                }
            ],
            "assets": [
                {
                    "title": {"fr": "Plan de migration"},
                    "url": "https://arnia.example.org/plan.pdf",
                    "media_type": "application/pdf",
                }
            ],
            "date": "2026-02-10",
            "audience_kinds": ["commune"],
        },
    },
    "meeting": {
        "content": {
            "title": {"fr": "Réunion mensuelle des partenaires (démonstration)"},
            "starts_at": "2026-04-02T08:00:00Z",
            "ends_at": "2026-04-02T09:30:00Z",
            "time_zone": "Europe/Paris",
            "url": "https://visio.arnia.example.org/mensuelle",
            "agenda": [
                {"title": {"fr": "Bilan de l'injection SQL dans GLPI"}, "minutes": 20, "by": "arnia"},
                {"title": {"fr": "Achat groupé de postes de travail"}, "minutes": 40, "by": "recia"},
            ],
            "tasks": [
                {
                    "key": "plan",
                    "text": {"fr": "Publier le plan de migration"},
                    "owner": "arnia",
                    "due": "2026-04-30",
                }
            ],
            "attending": ["arnia", "megalis", "recia"],
            "series": "mensuelle",
        },
    },
    "contribution": {
        "content": {
            "about": {"type": "meeting", "id": "recia/2026-04"},
            "kind": "agenda-item",
            "text": {"fr": "Présenter le retour d'expérience sur GLPI (démonstration)."},
        },
    },
    "purchase": {
        "content": {
            "title": {"fr": "Groupement de commandes de postes de travail (démonstration)"},
            "summary": {"fr": "Des postes reconditionnés pour les communes des membres."},
            "kind": "groupement-de-commandes",
            "coordinator": {
                "identifiers": [{"scheme": "0009", "value": "21710076700011"}],
                "name": "Commune coordinatrice (démonstration)",
            },
            "convention_url": "https://arnia.example.org/convention.pdf",
            "joining": {
                "text": {"fr": "Signer la convention avant le lancement de la consultation."},
                "steps": [{"what": {"fr": "Délibération"}, "who": "conseil municipal", "weeks": 6}],
            },
            "territory": ["FR-BFC", "FR-CVL"],
            "status": "open",
        },
    },
    "consultation": {
        "content": {
            "purchase": "arnia/postes",
            "title": {"fr": "Postes de travail reconditionnés 2026 (démonstration)"},
            "status": "gathering",
            "needs_until": "2026-05-31T21:59:59Z",
            "launch_on": "2026-06-15",
            "award_on": "2026-10-01",
            "cpv": ["30213000-5"],
            "units": [
                {"key": "portable", "label": {"fr": "Ordinateurs portables"}},
                {"key": "fixe", "label": {"fr": "Ordinateurs fixes"}},
            ],
        },
    },
    "participation": {
        "content": {
            "consultation": "arnia/postes-2026",
            "state": "need-given",
            "bodies": {
                "kind": "list",
                "beneficiaries": [
                    {
                        "identifiers": [{"scheme": "0002", "value": "217100767"}],
                        "name": "Chalon-sur-Saône",
                        "type": "commune",
                    }
                ],
            },
            "needs": [{"unit": "portable", "quantity": 40, "estimated_cents": 1600000}],
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
    "offer": {"content": {"valid_until": "2026-12-31", "trial_months": None}},
    "practice": {"content": {"kind": "guide"}},
    "meeting": {"content": {"status": "held", "url": None}},
    "contribution": {"content": {"kind": "question"}},
    "purchase": {"content": {"status": "closed"}},
    "consultation": {"content": {"status": "launched"}},
    "participation": {"content": {"state": "deliberated", "decided_on": "2026-05-12"}},
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
    "offer": "glpi-mutualise",
    "practice": "migrer-vers-glpi",
    "meeting": "2026-04",
    "contribution": "2026-04-glpi",
    "purchase": "postes",
    "consultation": "postes-2026",
    "participation": "postes-2026",
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
EVENTS: dict[str, Any] = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "ServiceDown", "deployment": "glpi-dijon", "severity": "critical"},
            "annotations": {"summary": "GLPI does not answer"},
            "startsAt": "2026-03-01T10:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": "c6eadffa33fcdf37",
        }
    ],
}
SOURCE: dict[str, Any] = {
    "name": "editor-advisories",
    "kind": "csaf",
    "url": "https://editor.example.org/csaf/2026-0042.json",
    "every": 21_600,
    "tlp": "GREEN",
}
