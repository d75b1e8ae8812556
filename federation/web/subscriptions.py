"""Subscriptions: what somebody is told of, by e-mail or webhook. Add one, remove one of one's own."""

from __future__ import annotations

from typing import Any

from litestar.response.base import ASGIResponse

from federation.domain.alert import EVENTS, NewSubscription
from federation.domain.draft import check_draft
from federation.domain.errors import Conflict, Forbidden, Invalid
from federation.edge.operations import Right
from federation.node import alerts
from federation.node.alert_viewers import EVENTS_FOR_ALL
from federation.web.fields import Field
from federation.web.form_content import FormContent
from federation.web.forms import Form
from federation.web.language import screen_text as t
from federation.web.list_files import file_answer, list_file
from federation.web.listing import value_words
from federation.web.pages import page
from federation.web.record_forms import control_view
from federation.web.visit import Visit

READ, WRITE = Right("subscriptions.read"), Right("subscriptions.write")
FIELDS = (
    Field("events", "several", t("Tell me when"), labels="event", required=True),
    Field("email", "line", t("By e-mail to"), t("A shared mailbox: oncall@arnia.example.org")),
    Field("webhook", "line", t("Or to a program"), t("Its address: https://itsm.example.org/federation")),
    Field(
        "unanswered_hours",
        "number",
        t("Hours without an answer"),
        t("For unanswered incidents: 24, if nothing is said."),
    ),
)
COLUMNS = (t("To"), t("Belongs to"), t("When"), t("Since"), t("State"))


@page("/subscriptions", act="page_subscriptions", right=READ)
async def list_subscriptions(visit: Visit) -> ASGIResponse:
    """List the subscriptions that the visitor may see and change."""
    return await _page(visit, Form())


@list_file("/subscriptions", act="page_subscriptions_file", right=READ)
async def subscriptions_file(visit: Visit) -> ASGIResponse:
    """The subscriptions as a file, without the secrets of webhooks."""
    rows = [
        [
            subscription.email or subscription.webhook,
            visit.text(t("of the operator")) if subscription.person is None else visit.text(t("a person")),
            "; ".join(value_words(visit, "event", event) for event in subscription.events),
            subscription.created_at,
            visit.text(t("active") if subscription.active else t("stopped")),
        ]
        for subscription in await alerts.list_subscriptions(visit.node, by=visit.caller)
    ]
    return await file_answer(visit, "subscriptions", COLUMNS, rows, is_cut=False)


async def _page(visit: Visit, form: Form, *, status: int = 200, secret: str = "") -> ASGIResponse:
    view = control_view(visit)
    offered = [event for event in EVENTS if visit.caller.sees_all or event not in EVENTS_FOR_ALL]
    view["options_of"] = lambda field: [(event, value_words(visit, "event", event)) for event in offered]
    return visit.page(
        "subscriptions.html",
        status=status,
        alternate="/v1/subscriptions",
        form=form,
        subscriptions=await alerts.list_subscriptions(visit.node, by=visit.caller),
        fields=FIELDS,
        rows={},
        secret=secret,
        sends_mail=visit.node.others.sends_mail,
        **view,
    )


@page("/subscriptions", act="page_subscriptions_sent", right=WRITE, method="POST")
async def subscription_sent(visit: Visit) -> ASGIResponse:
    """Add a subscription; the secret of a webhook is shown this once."""
    form = await visit.read_form()
    if id_ := form.value("remove"):
        await alerts.unsubscribe(visit.node, id_, by=visit.caller)
        return visit.to("/subscriptions", notice="removed")
    reading = FormContent(form, visit.node.time_zone)
    content: dict[str, Any] = reading.read({}, FIELDS)
    for name, text in reading.faults:
        form.refuse(name, visit.text(text))
    names = {pointer.removeprefix("/content"): name for pointer, name in reading.names.items()}
    try:
        subscription = check_draft(content, NewSubscription)
        if not form.faults:
            added = await alerts.subscribe(visit.node, subscription, by=visit.caller)
            if subscription.webhook is not None:
                return await _page(visit, Form(), secret=added.secret)
            return visit.to("/subscriptions", notice="saved")
    except (Invalid, Conflict, Forbidden) as error:
        if error.faults:
            form.refuse_all(error.faults, visit.language, names)
        else:
            form.refuse("", error.message.to_text(visit.language))
    return await _page(visit, form, status=400)


HANDLERS = (list_subscriptions, subscriptions_file, subscription_sent)
