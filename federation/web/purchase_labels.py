"""Values of what operators do together, in words. French in ``french/together.toml``."""

from __future__ import annotations

from federation.web.language import screen_text as t

PURCHASE_LABELS: dict[str, dict[str, str]] = {
    "bodies_way": {
        "ourselves": t("ourselves"),
        "list": t("these bodies, by their numbers"),
        "territory": t("all bodies of some territories"),
        "count": t("a number of bodies that are not named"),
    },
    "missing_reason": {
        "no-answer": t("no answer that you may see"),
        "no-need": t("interested, but no need given"),
        "some-units": t("need given for a part only"),
        "late": t("need given too late"),
    },
    "rests_on": {
        "public": t("These sums rest on public needs alone. Needs are shown to members, as a rule."),
        "federation": t("These sums rest on the needs that members of the federation see."),
        "all": t("These sums rest on all needs that this node has."),
    },
    "contribution_kind": {
        "agenda-item": t("point for the agenda"),
        "comment": t("comment"),
        "question": t("question"),
        "answer": t("answer"),
        "attendance": t("attendance"),
        "task-done": t("task done"),
    },
}
