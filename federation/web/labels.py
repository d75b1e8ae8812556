"""Values of enumerations in words, by the name of the enumeration. French in ``french/labels.toml``."""

from __future__ import annotations

from federation.web.language import screen_text as t
from federation.web.solution_labels import SOLUTION_LABELS

LABELS: dict[str, dict[str, str]] = {
    **SOLUTION_LABELS,
    "tlp": {
        "CLEAR": t("public"),
        "GREEN": t("members of the federation"),
        "AMBER": t("a group of operators"),
        "AMBER+STRICT": t("a group of operators, and nobody else in their organisations"),
        "RED": t("this operator only"),
    },
    "type": {
        "solution": t("Solution"),
        "deployment": t("Deployment"),
        "incident": t("Incident"),
        "statement": t("Statement"),
        "operator": t("Operator"),
        "group": t("Group"),
        "membership": t("Membership"),
        "offer": t("Offer"),
        "practice": t("Practice"),
        "meeting": t("Meeting"),
        "contribution": t("Contribution"),
        "purchase": t("Joint purchase"),
        "consultation": t("Consultation"),
        "participation": t("Participation"),
    },
    "role": {
        "reader": t("reader"),
        "editor": t("editor"),
        "administrator": t("administrator"),
    },
}
