"""The fields of what operators do together: offers, practices, meetings, joint purchases."""

from __future__ import annotations

import msgspec

from federation.web.fields import Field
from federation.web.language import screen_text as t
from federation.web.record_fields import MAILBOX, SOLUTION_HINT, TERRITORY_HINT, coverage

SOLUTIONS_HINT = t("One on each line: arnia/glpi")


def number_range(name: str, label: str) -> tuple[Field, ...]:
    """The fields of a range of numbers; both bounds belong to it."""
    return (
        Field(f"{name}.from", "number", label, t("The lowest, for example 0")),
        Field(f"{name}.to", "number", t("up to"), t("The highest, for example 3500")),
    )


def tariff(name: str, group: str) -> tuple[Field, ...]:
    """The fields of a tariff."""
    return (
        Field(f"{name}.currency", "line", t("Currency"), t("Three letters: EUR"), group=group),
        Field(f"{name}.vat", "choice", t("VAT"), labels="vat"),
        Field(f"{name}.decided_on", "day", t("Decided on")),
        Field(f"{name}.source_url", "line", t("Where the tariff is published")),
        Field(
            f"{name}.parts",
            "rows",
            t("Part of the price"),
            rows=(
                Field("label", "words", t("Name"), t("Membership of small communes")),
                Field("when", "choice", t("To be paid"), labels="price_when"),
                Field("basis", "choice", t("For each"), labels="price_basis"),
                Field("micros", "micros", t("Amount"), t("For one unit: 48 or 0.166")),
                Field("kinds", "several", t("Only for"), labels="body_kind"),
                *number_range("population", t("Inhabitants from")),
                *number_range("agents", t("Staff from")),
                Field("minimum_cents", "cents", t("At least, in a year"), example="50.00"),
                Field("maximum_cents", "cents", t("At most, in a year"), example="8200.00"),
                Field("optional", "yes-no", t("An option, not part of the total"), labels="yes_no"),
            ),
        ),
    )


STEPS = Field(
    "steps",
    "rows",
    t("Step"),
    rows=(
        Field("what", "words", t("What to do"), t("The council votes the membership")),
        Field("who", "line", t("By whom"), t("The municipal council")),
        Field("weeks", "number", t("Weeks it takes"), example="6"),
    ),
)
OFFER = (
    Field("title", "words", t("Title"), t("Hosted e-mail for communes"), required=True),
    Field("solution", "line", t("Solution"), SOLUTION_HINT, required=True),
    Field("summary", "prose", t("Summary")),
    Field("contact", "line", t("Mailbox"), MAILBOX, required=True),
    Field(
        "eligibility.kinds",
        "several",
        t("Open to"),
        t("Nothing ticked: open to every kind."),
        labels="body_kind",
        group=t("Who may join"),
    ),
    Field("eligibility.territory", "lines", t("Territory"), TERRITORY_HINT),
    *number_range("eligibility.population", t("Inhabitants from")),
    *number_range("eligibility.agents", t("Staff from")),
    Field(
        "requires.offers",
        "lines",
        t("Offers to join first"),
        t("One on each line: arnia/membership"),
        group=t("How to join"),
    ),
    Field("requires.text", "prose", t("What else is needed first")),
    STEPS,
    Field(
        "deliberation_template",
        "text",
        t("Text that the council votes"),
        t("{name}, {siren}, {price} and {date} are replaced."),
    ),
    Field("pricing", "choice", t("Price"), labels="pricing", required=True, group=t("Price")),
    *tariff("tariff", t("Tariff")),
    Field("deployments", "lines", t("Deployments"), t("One on each line: arnia/glpi-71"), group=t("More")),
    Field("consultation", "line", t("Consultation"), t("Bought by: arnia/e-mail-2027")),
    Field("valid_from", "day", t("Valid from")),
    Field("valid_until", "day", t("Last day to join")),
    Field("trial_months", "number", t("Months to try it"), example="3"),
)
PRACTICE = (
    Field("title", "words", t("Title"), t("Moving 40 communes to shared e-mail"), required=True),
    Field("summary", "prose", t("Summary"), required=True),
    Field("kind", "choice", t("Kind"), labels="practice_kind", required=True),
    Field("body", "prose", t("Text"), t("Headings, lists and links in Markdown.")),
    Field("solutions", "lines", t("Solutions"), SOLUTIONS_HINT, group=t("More")),
    Field("themes", "lines", t("Themes"), t("One on each line: it-asset-management")),
    Field(
        "audience_kinds",
        "several",
        t("Useful for"),
        t("Nothing ticked: useful for every kind."),
        labels="body_kind",
    ),
    Field("date", "day", t("Date")),
    Field("licence", "line", t("Licence"), t("Left empty: etalab-2.0")),
    Field("contact", "line", t("Mailbox"), MAILBOX),
    Field(
        "results",
        "rows",
        t("Result"),
        group=t("Results and files"),
        rows=(
            Field("label", "words", t("What was counted"), t("Communes that joined")),
            Field("value", "line", t("Figure"), example="37.5"),
            Field("unit", "line", t("Unit"), example="communes"),
            Field("as_of", "day", t("Counted on")),
        ),
    ),
    Field(
        "assets",
        "rows",
        t("File"),
        rows=(
            Field("title", "words", t("Title"), t("Model of a convention")),
            Field("url", "line", t("Address"), example="https://arnia.example.org/convention.odt"),
            Field("media_type", "line", t("Type of file"), example="application/pdf"),
        ),
    ),
)
MEETING = (
    Field("title", "words", t("Title"), t("Meeting of October"), required=True),
    Field("starts_at", "moment", t("Begins"), required=True),
    Field("ends_at", "moment", t("Ends")),
    Field("time_zone", "line", t("Time zone"), example="Europe/Paris"),
    Field("status", "choice", t("State"), labels="meeting_status"),
    Field("place", "line", t("Place"), t("Dijon, town hall")),
    Field("url", "line", t("Video conference"), example="https://visio.example.org/oct"),
    Field("series", "line", t("Series"), t("The same for each date of a recurring meeting: monthly")),
    Field(
        "agenda",
        "rows",
        t("Point of the agenda"),
        group=t("Agenda"),
        rows=(
            Field("title", "words", t("Title"), t("Purchase of e-mail")),
            Field("minutes", "number", t("Minutes"), example="20"),
            Field("by", "line", t("Presented by"), t("An operator: megalis")),
        ),
    ),
    Field(
        "decisions",
        "rows",
        t("Decision"),
        group=t("What was decided"),
        rows=(Field("text", "words", t("Decision")), Field("on", "day", t("Taken on"))),
    ),
    Field(
        "tasks",
        "rows",
        t("Task"),
        group=t("Who does what"),
        rows=(
            Field("key", "line", t("Short name"), example="tender"),
            Field("text", "words", t("Task"), t("Write the tender")),
            Field("owner", "line", t("By"), t("An operator: megalis")),
            Field("due", "day", t("Until")),
            Field("done_on", "day", t("Done on")),
        ),
    ),
    Field(
        "attending",
        "lines",
        t("Present"),
        t("Operators, one on each line: megalis"),
        group=t("Minutes of the meeting"),
    ),
    Field("minutes", "prose", t("Minutes of the meeting"), t("Headings, lists and links in Markdown.")),
)
PURCHASE = (
    Field("title", "words", t("Title"), t("Joint purchase of e-mail"), required=True),
    Field("summary", "prose", t("Summary"), required=True),
    Field("kind", "choice", t("Legal form"), labels="purchase_kind", required=True),
    Field(
        "mode",
        "choice",
        t("Who orders and pays"),
        t("Only for a central purchasing body."),
        labels="purchase_mode",
    ),
    Field("status", "choice", t("State"), labels="purchase_status"),
    Field("coordinator.name", "line", t("Name"), t("The body that coordinates"), group=t("Coordinator")),
    Field(
        "coordinator.identifiers",
        "rows",
        t("Number in a register"),
        required=True,
        rows=(
            Field("scheme", "line", t("Register"), t("0009 for SIRET")),
            Field("value", "line", t("Number"), example="13000918600011"),
        ),
    ),
    Field("joining.text", "prose", t("How to join"), group=t("How to join")),
    msgspec.structs.replace(STEPS, name="joining.steps"),
    Field("convention_url", "line", t("Address of the convention")),
    Field("territory", "lines", t("Territory"), TERRITORY_HINT),
)
CONSULTATION = (
    Field("title", "words", t("Title"), t("Hosted e-mail 2027"), required=True),
    Field("purchase", "line", t("Joint purchase"), t("Operator and key: arnia/e-mail"), required=True),
    Field("status", "choice", t("State"), labels="consultation_status", required=True),
    Field("needs_until", "moment", t("Needs are given until"), group=t("Dates")),
    Field("launch_on", "day", t("Launch")),
    Field("award_on", "day", t("Award")),
    Field(
        "units",
        "rows",
        t("What is counted"),
        group=t("What is needed"),
        rows=(
            Field("key", "line", t("Short name"), example="mailboxes"),
            Field("label", "words", t("Name"), t("Mailboxes")),
        ),
    ),
    Field("solutions", "lines", t("Solutions"), SOLUTIONS_HINT, group=t("More")),
    Field("themes", "lines", t("Themes"), t("One on each line: it-asset-management")),
    Field("cpv", "lines", t("CPV codes"), t("One on each line: 48000000")),
    Field("notice_urls", "lines", t("Notices"), t("Addresses, one on each line")),
    Field(
        "contract.id",
        "line",
        t("Number of the contract"),
        t("At most 16 characters"),
        group=t("After the award"),
    ),
    Field("contract.notified_on", "day", t("Notified on")),
    Field("contract.months", "number", t("Months it lasts"), example="48"),
    Field("contract.amount_cents", "cents", t("Amount without VAT"), example="120000.00"),
    Field(
        "contract.suppliers",
        "rows",
        t("Supplier"),
        rows=(
            Field("scheme", "line", t("Register"), t("0009 for SIRET")),
            Field("value", "line", t("Number"), example="13000918600011"),
            Field("name", "line", t("Name")),
        ),
    ),
    *tariff("tariff", t("Price for those who join now")),
)
PARTICIPATION = (
    Field("consultation", "line", t("Consultation"), t("Operator and key: arnia/e-mail-2027"), required=True),
    Field("state", "choice", t("State"), labels="participation_state", required=True),
    *coverage("bodies", required=False),
    Field(
        "needs",
        "rows",
        t("Need"),
        group=t("What is needed"),
        rows=(
            Field("unit", "line", t("What is counted"), t("Short name in the consultation: mailboxes")),
            Field("quantity", "number", t("Quantity"), example="120"),
            Field("estimated_cents", "cents", t("Estimated amount"), example="5000.00"),
        ),
    ),
    Field("decided_on", "day", t("Decided on")),
)
