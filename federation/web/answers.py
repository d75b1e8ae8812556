"""Answer an incident for our operator: a form that is filled in from what is known, a review, publication."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.statement import STATEMENT_STATUSES
from federation.domain.errors import Conflict, Forbidden, Invalid, PreconditionFailed
from federation.domain.exposure.answers import AffectedDeployment, OperatorExposure
from federation.domain.visibility import LABELS as TLP_LABELS
from federation.domain.visibility import TLPS
from federation.edge.operations import Right
from federation.node import answers, incident_page
from federation.node.answers import OwnStatements, Part
from federation.node.audiences import Audience, audience
from federation.web.exposure_views import ExposureView, view_of
from federation.web.fields import Field
from federation.web.form_content import FormContent
from federation.web.forms import Form
from federation.web.language import screen_text as t
from federation.web.listing import value_words
from federation.web.pages import page
from federation.web.record_forms import control_view
from federation.web.visit import Visit

WRITE = Right("statements.write")
MAX_ANSWER_BYTES = 131_072
"""Bytes of the form: a hundred deployments and two texts."""
DETAILS = (
    Field("action", "prose", t("What we do"), t("We update tonight. Nothing to do for the communes.")),
    Field("planned_at", "moment", t("Planned for"), t("When it will be done, if it is not yet.")),
)
FIELDS = (
    Field("status", "choice", t("For all our deployments"), labels="statement_status"),
    Field(
        "justification",
        "choice",
        t("Why not affected"),
        t("Only with the answer: not affected."),
        labels="justification",
    ),
    *DETAILS,
)
_NOTHING: dict[str, Any] = dict.fromkeys(("justification", "deployments", "action", "planned_at"))
PROPOSED = {"affected": "known_affected", "unknown": "under_investigation"}
"""The status that is proposed for a deployment, by what its version says."""


class _Envelope(msgspec.Struct):
    tlp: str
    audience: str | None = None
    content: dict[str, Any] = {}


class _Answering(msgspec.Struct):
    """The form of an answer, with what it is made from."""

    id: str
    record: _Envelope
    view: ExposureView
    before: OwnStatements
    form: Form
    groups: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def deployments(self) -> tuple[AffectedDeployment, ...]:
        return tuple(own.deployment for own in self.view.deployments)

    @property
    def newest(self) -> str | None:
        """Key of the newest statement of ours that counts for the incident."""
        own: OperatorExposure | None = self.view.own
        return own.statements[0].id.partition("/")[2] if own is not None and own.statements else None


async def _open(visit: Visit, origin: str, key: str) -> _Answering:
    """Raises NotFound, Retracted."""
    read = await incident_page.answer_form(visit.node, origin, key, by=visit.caller)
    record = msgspec.json.decode(read.incident.stored.document, type=_Envelope)
    return _Answering(
        id=f"{origin}/{key}",
        record=record,
        view=view_of(visit, read.incident.exposure, read.incident.contacts),
        before=read.before,
        form=visit.form or Form(),
        groups=read.groups,
        labels=_labels(visit, record, read.groups, is_own=origin == visit.node.operator),
    )


def _labels(visit: Visit, record: _Envelope, groups: tuple[str, ...], *, is_own: bool) -> tuple[str, ...]:
    """The labels that an answer can have: none is wider than that of the incident, GREEN at the widest.

    The group of another operator's incident means nothing here: an answer to it goes to a group of ours.
    """
    widest = max(TLPS.index("GREEN"), TLPS.index(record.tlp))
    return tuple(
        label
        for label in TLP_LABELS[widest:]
        if label == "GREEN"
        or (groups and label.startswith("AMBER"))
        or (label == "RED" and visit.caller.sees_all)
    )


def _prefill(visit: Visit, answering: _Answering) -> None:
    """Fill in what is known: the last answer, else what the versions say."""
    newest = next(iter(answering.before.statements), None)
    fields: dict[str, list[str]] = {"state": [answering.before.state]}
    for deployment in answering.deployments:
        fields[f"of.{deployment.id}"] = [deployment.stated or PROPOSED[deployment.verdict]]
    statuses = {texts[0] for name, texts in fields.items() if name.startswith("of.")}
    if len(statuses) == 1:
        fields["status"] = [statuses.pop()]
        fields |= {name: [""] for name in fields if name.startswith("of.")}
    elif newest is not None and not statuses:
        fields["status"] = [newest.content.status]
        if newest.content.justification:
            fields["justification"] = [newest.content.justification]
    if newest is not None:
        for language, text in (newest.content.action or {}).items():
            fields[f"action.{language}"] = [text]
    is_group_ours = answering.record.audience in answering.groups and answering.id.startswith(
        f"{visit.node.operator}/"
    )
    if newest is not None and newest.tlp in answering.labels:
        fields["tlp"], fields["audience"] = [newest.tlp], [newest.audience or ""]
    elif answering.record.tlp in ("CLEAR", "GREEN"):
        fields["tlp"] = ["GREEN"]
    elif answering.record.tlp in answering.labels and is_group_ours:
        fields["tlp"], fields["audience"] = [answering.record.tlp], [answering.record.audience or ""]
    answering.form = Form(fields)


def _parts(visit: Visit, answering: _Answering) -> list[Part]:
    """The statements that the form says; faults stand beside their fields."""
    form = answering.form
    reading = FormContent(form, visit.node.time_zone)
    content = reading.read({}, FIELDS)
    for name, text in reading.faults:
        form.refuse(name, visit.text(text))
    general = content.pop("status", None)
    justification = content.pop("justification", None)
    by_status: dict[str, list[str]] = {}
    for deployment in answering.deployments:
        status = form.value(f"of.{deployment.id}") or general
        if status is None:
            form.refuse(f"of.{deployment.id}", visit.text(t("Choose an answer for it, or one for all.")))
        elif status not in STATEMENT_STATUSES:
            form.refuse(f"of.{deployment.id}", visit.text(t("Choose one of the answers.")))
        else:
            by_status.setdefault(status, []).append(deployment.id)
    if general is None and not by_status and not form.faults:
        form.refuse("status", visit.text(t("Choose an answer.")))
    if justification is not None and "known_not_affected" not in (general, *by_status):
        form.refuse("justification", visit.text(t("Only with the answer: not affected.")))
    if justification is None and "known_not_affected" in (general, *by_status):
        form.refuse(
            "justification", visit.text(t("Say why it is not affected: the others have to rely on it."))
        )
    is_for_all = general is not None and set(by_status) <= {general}
    chosen: list[tuple[str, tuple[str, ...]]] = (
        [(general, ())] if is_for_all and general is not None
        else [(status, tuple(names)) for status, names in sorted(by_status.items())]
    )  # fmt: skip
    parts = []
    for status, names in chosen:
        members: dict[str, Any] = {**content, "status": status}
        if names:
            members["deployments"] = list(names)
        if status == "known_not_affected" and justification is not None:
            members["justification"] = justification
        parts.append(Part(members))
    return parts


def _check_label(visit: Visit, answering: _Answering) -> None:
    label = answering.form.value("tlp")
    if label not in answering.labels:
        answering.form.refuse("tlp", visit.text(t("Choose who may see the answer.")))


@page("/incidents/{origin:str}/{key:str}/answer", act="page_answer", right=WRITE)
async def answer_form(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show the form, filled in with what is known."""
    answering = await _open(visit, origin, key)
    _prefill(visit, answering)
    return _form_page(visit, answering)


@page(
    "/incidents/{origin:str}/{key:str}/answer",
    act="page_answer_sent",
    right=WRITE,
    method="POST",
    max_bytes=MAX_ANSWER_BYTES,
)
async def answer_sent(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Review the answer, or publish it."""
    answering = await _open(visit, origin, key)
    form, do = answering.form, answering.form.value("do")
    if do == "edit":
        return _form_page(visit, answering)
    if form.value("state") != answering.before.state:
        return _overtaken_page(visit, answering)
    _check_label(visit, answering)
    parts = _parts(visit, answering)
    if form.faults:
        return _form_page(visit, answering, status=400)
    label, group = form.value("tlp"), form.value("audience") or None
    names = {"/tlp": "tlp", "/audience": "audience"} | {
        f"/content/{name}": field.names[0] for field in FIELDS if (name := field.name)
    }
    try:
        drafts = answers.drafts(answering.id, parts, label, group)
        readers = await audience(visit.node, label, group, by=visit.caller)
        if do != "publish":
            return _review_page(visit, answering, parts, readers)
        await answers.publish_answer(
            visit.node,
            answering.id,
            drafts,
            state=answering.before.state,
            newest=answering.newest,
            by=visit.caller,
        )
    except PreconditionFailed:
        return _overtaken_page(visit, await _open(visit, origin, key))
    except (Invalid, Forbidden, Conflict) as error:
        if error.faults:
            form.refuse_all(error.faults, visit.language, names)
        else:
            form.refuse("", error.message.to_text(visit.language))
        return _form_page(visit, answering, status=400)
    return visit.to(f"/incidents/{answering.id}", notice="answered")


def _overtaken_page(visit: Visit, answering: _Answering) -> ASGIResponse:
    """The form again, with the answer that somebody else has given meanwhile."""
    answering.form.fields["state"] = [answering.before.state]
    return _form_page(visit, answering, status=412, is_overtaken=True)


def _form_page(
    visit: Visit, answering: _Answering, *, status: int = 200, is_overtaken: bool = False
) -> ASGIResponse:
    options = [(value, value_words(visit, "statement_status", value)) for value in STATEMENT_STATUSES]
    return visit.page(
        "answer.html",
        status=status,
        answering=answering,
        form=answering.form,
        incident=answering.record.content,
        fields=FIELDS,
        rows={},
        statuses=options,
        tlp_options=[
            (label, f"TLP:{label} – {value_words(visit, 'tlp', label)}") for label in answering.labels
        ],
        group_options=[(group, group) for group in answering.groups],
        is_overtaken=is_overtaken,
        **control_view(visit),
    )


def _review_page(visit: Visit, answering: _Answering, parts: list[Part], readers: Audience) -> ASGIResponse:
    return visit.page(
        "answer_review.html",
        answering=answering,
        form=answering.form,
        incident=answering.record.content,
        parts=[{**_NOTHING, **part.content} for part in parts],
        audience=readers,
    )


HANDLERS = (answer_form, answer_sent)
