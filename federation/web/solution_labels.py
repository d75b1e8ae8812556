"""Values that solutions have in words. French in ``french/solutions.toml``."""

from __future__ import annotations

from federation.web.language import screen_text as t
from federation.web.theme_names import THEME_NAMES

SOLUTION_LABELS: dict[str, dict[str, str]] = {
    "theme": THEME_NAMES,
    "solution_kind": {
        "software": t("Software"),
        "service": t("Service"),
        "ai-model": t("AI model"),
        "configuration": t("Configuration"),
        "dataset": t("Data set"),
    },
    "development": {
        "concept": t("idea"),
        "development": t("in development"),
        "beta": t("beta"),
        "stable": t("stable"),
        "obsolete": t("obsolete"),
    },
    "maintenance": {
        "internal": t("by the operator itself"),
        "contract": t("by contract"),
        "community": t("by a community"),
        "none": t("by nobody"),
    },
    "support": {
        "supported": t("supported"),
        "lts": t("supported for long"),
        "security-only": t("security fixes only"),
        "unsupported": t("no longer supported"),
    },
    "access_level": {
        "none": t("not accessible"),
        "partial": t("partly accessible"),
        "full": t("accessible"),
    },
    "risk_class": {
        "minimal": t("minimal risk"),
        "limited": t("limited risk"),
        "high": t("high risk"),
        "prohibited": t("prohibited"),
    },
    "licence": {
        "LicenseRef-proprietary": t("proprietary"),
        "LicenseRef-unknown": t("licence not known"),
    },
    "price_basis": {
        "body": t("for each body"),
        "inhabitant": t("for each inhabitant"),
        "agent": t("for each agent"),
        "user": t("for each user"),
        "member-commune": t("for each member commune"),
        "gigabyte": t("for each gigabyte"),
    },
    "price_when": {
        "yearly": t("each year"),
        "monthly": t("each month"),
        "once": t("once"),
        "first-year": t("in the first year"),
        "after-first": t("in each following year"),
    },
    "vat": {
        "excluded": t("Without VAT"),
        "included": t("With VAT"),
        "exempt": t("Without VAT: none is due"),
    },
}
