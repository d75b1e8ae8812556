"""Values of enumerations about bodies and offers, in words."""

from __future__ import annotations

from federation.web.language import screen_text as t

BODY_LABELS: dict[str, dict[str, str]] = {
    "body_part": {
        "delegated": t("delegated commune"),
        "associated": t("associated commune"),
        "arrondissement": t("arrondissement"),
        "former": t("former code"),
    },
    "offer_state": {
        "open": t("open"),
        "unknown": t("not known"),
        "not-open": t("not open"),
    },
    "offer_group": {
        "open": t("Open to it"),
        "unknown": t("Perhaps open to it: see what is not known"),
        "not-open": t("Not open to it"),
    },
    "vat_short": {
        "excluded": t("without VAT"),
        "included": t("VAT included"),
        "exempt": t("no VAT is due"),
    },
}
