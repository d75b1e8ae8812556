"""The rules of the schema, by number, that go beyond the form of one member.

A document that has its form and that a node refuses breaks one of these: ``errors[].rule`` names it. Some of
them are in the published schemas as well (``api/conditions.py``). Of each other one there is a document that
keeps the schema. A number is never given to another rule, and new rules come at the end.
"""

from __future__ import annotations

import msgspec


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, and the code that checks it."""

    text: str
    checked_by: str
    """Module and name."""
    readers: bool = False
    """True for a rule of every record. Others hold for a node's own writers: they rest on lists that grow, or
    on what was there before."""
    in_schema: bool = False
    """True where the published schemas refuse what breaks it, too."""


RULES: dict[int, Rule] = {
    1: Rule(
        text="A date, and a date-time, is one of the calendar: not 30 February.",
        checked_by="federation.domain.part:Dated",
        readers=True,
    ),
    2: Rule(
        text=(
            "A moment that ends something is not before the one that begins it: `resolved_at` not before"
            " `started_at` and `detected_at`, `scheduled_until` not before `scheduled_for`, `until` not"
            " before `since`, `updated_at` not before `created_at`,"
            " `valid_until` not before `valid_from`, `ends_at` not before `starts_at`, `award_on` not before"
            " `launch_on`."
        ),
        checked_by="federation.domain.part:Dated",
        readers=True,
    ),
    3: Rule(
        text=(
            "The check digits of an identifier hold: SIREN (`0002`), SIRET (`0009`), Belgian enterprise"
            " number (`0208`); an INSEE code (`cog`) has its form."
        ),
        checked_by="federation.domain.organisation:Identifier",
        readers=True,
    ),
    4: Rule(
        text="A package has a `purl` or a `cpe`.",
        checked_by="federation.domain.content.solution:Package",
        readers=True,
        in_schema=True,
    ),
    5: Rule(
        text="An entry of `affects` has `solution` or `deployments`.",
        checked_by="federation.domain.content.incident:Affected",
        readers=True,
        in_schema=True,
    ),
    6: Rule(
        text="The `status` of an incident is one that its `kind` can have.",
        checked_by="federation.domain.content.incident:Incident",
        readers=True,
        in_schema=True,
    ),
    7: Rule(
        text="A maintenance has `scheduled_for`.",
        checked_by="federation.domain.content.incident:Incident",
        readers=True,
        in_schema=True,
    ),
    8: Rule(
        text="An incident that is no maintenance has `started_at` or `detected_at`.",
        checked_by="federation.domain.content.incident:Incident",
        readers=True,
        in_schema=True,
    ),
    9: Rule(
        text="A statement has a `justification` exactly where its `status` is `known_not_affected`.",
        checked_by="federation.domain.content.statement:Statement",
        readers=True,
        in_schema=True,
    ),
    10: Rule(
        text="A deployment whose `version_state` is `exact` has a `version`.",
        checked_by="federation.domain.content.deployment:Deployment",
        readers=True,
        in_schema=True,
    ),
    11: Rule(
        text="A step of a reporting deadline is one of its regimes, and is done once.",
        checked_by="federation.domain.deadline:ReportingDeadline",
    ),
    12: Rule(
        text="A subscription has either a `webhook` or an `email`.",
        checked_by="federation.domain.alert:NewSubscription",
        in_schema=True,
    ),
    13: Rule(
        text="A group is TLP:RED.",
        checked_by="federation.domain.content.group:Group",
        in_schema=True,
    ),
    14: Rule(
        text="The identifiers of one body name the same body of the register.",
        checked_by="federation.domain.territories.identity:contradicting",
    ),
    15: Rule(
        text=(
            "A record of TLP:AMBER or AMBER+STRICT has the `audience` of a group, and no other record has"
            " one."
        ),
        checked_by="federation.domain.visibility:audience_of",
        readers=True,
        in_schema=True,
    ),
    16: Rule(
        text="A `licence` is an expression of licences of the SPDX list, or of `LicenseRef-` names.",
        checked_by="federation.domain.formats.spdx:licence_problem",
    ),
    17: Rule(
        text="A theme is one of the list (`themes.json`).",
        checked_by="federation.domain.content.solution:Solution",
    ),
    18: Rule(
        text="A `purl` names a package, and a `cpe` a product.",
        checked_by="federation.domain.content.solution:Solution",
    ),
    19: Rule(
        text=(
            "An address has a host that can be read, no user name or password before it, no secret among its"
            " parameters (RFC 3986, 3.2), and no white space."
        ),
        checked_by="federation.domain.addresses:address_problem",
    ),
    20: Rule(
        text=(
            "A text is in Unicode normal form C, has no control or invisible characters but line feed and"
            " tab, and does not end with a line feed."
        ),
        checked_by="federation.domain.canonical:check_text",
        readers=True,
    ),
    21: Rule(
        text=(
            "The timeline of an incident only grows, and the status of a new line is one that its `kind` can"
            " have."
        ),
        checked_by="federation.domain.content.incident:Incident",
    ),
    22: Rule(
        text="No object has a member twice, and objects and arrays are at most 32 deep.",
        checked_by="federation.domain.canonical:decode_json",
        readers=True,
    ),
    23: Rule(
        text="A document has at most 1 048 576 bytes.",
        checked_by="federation.domain.document:MAX_DOCUMENT",
        readers=True,
    ),
    24: Rule(
        text="A document is canonical JSON (RFC 8785).",
        checked_by="federation.domain.canonical:canonical",
        readers=True,
    ),
    25: Rule(
        text=(
            "Members that the schema does not know have ASCII names, and numbers that are integers within"
            " ±(2^53 − 1)."
        ),
        checked_by="federation.domain.canonical:check_subset",
        readers=True,
    ),
    26: Rule(
        text="The audience of a record is a group that its origin has.",
        checked_by="federation.node.edits:edit_one",
    ),
    27: Rule(
        text=(
            "The webhook of a subscription is at an https address that the node may call; an e-mail address"
            " is plain ASCII."
        ),
        checked_by="federation.node.alerts:check_subscription",
    ),
    28: Rule(
        text=(
            "The key of a group is a name: small letters, digits and hyphens, at most 63 of them;"
            " `federation`, `private` and `public` are taken."
        ),
        checked_by="federation.domain.content.group:Group",
    ),
    29: Rule(
        text="A list has each key once: `tasks` and `units` their `key`, `needs` their `unit`.",
        checked_by="federation.domain.part:distinct",
        readers=True,
    ),
    30: Rule(
        text="A text in Markdown (`body`, `minutes`) has at most 65 536 bytes in UTF-8.",
        checked_by="federation.domain.part:short_markdown",
        readers=True,
    ),
    31: Rule(
        text=(
            "A range of numbers has `from`, `to` or both, and `to` is not below `from`; `maximum_cents` is"
            " not below `minimum_cents`."
        ),
        checked_by="federation.domain.content.tariff:NumberRange",
        readers=True,
    ),
    32: Rule(
        text="The `requires` of an offer has `offers`, `text` or both.",
        checked_by="federation.domain.content.offer:Requirement",
        readers=True,
        in_schema=True,
    ),
    33: Rule(
        text="An offer has a `tariff` exactly where its `pricing` is `tariff`.",
        checked_by="federation.domain.content.offer:Offer",
        readers=True,
        in_schema=True,
    ),
    34: Rule(
        text="In braces, a `deliberation_template` has `name`, `siren`, `price` and `date` only.",
        checked_by="federation.domain.content.offer:Offer",
    ),
    35: Rule(
        text="A `time_zone` is one of the IANA database that the node has.",
        checked_by="federation.domain.content.meeting:is_time_zone",
    ),
    36: Rule(
        text=(
            "A contribution of the kind `task-done` has a `task`; one of another kind but `attendance` has a"
            " `text`."
        ),
        checked_by="federation.domain.content.contribution:Contribution",
        readers=True,
        in_schema=True,
    ),
    37: Rule(
        text="A contribution is TLP:CLEAR, GREEN or RED.",
        checked_by="federation.domain.content.contribution:Contribution",
        in_schema=True,
    ),
    38: Rule(
        text="A purchase has a `mode` exactly where its `kind` is `centrale-d-achat`.",
        checked_by="federation.domain.content.purchase:Purchase",
        readers=True,
        in_schema=True,
    ),
    39: Rule(
        text="The `coordinator` of a purchase has a SIRET (`0009`) among its identifiers.",
        checked_by="federation.domain.content.purchase:Purchase",
        readers=True,
    ),
    40: Rule(
        text="A consultation has a `contract` only where its `status` is `awarded`, `running` or `ended`.",
        checked_by="federation.domain.content.consultation:Consultation",
        readers=True,
        in_schema=True,
    ),
    41: Rule(
        text="The `earlier` quantities of a need are in the order of their times, and before `given_at`.",
        checked_by="federation.domain.content.participation:Need",
        readers=True,
    ),
    42: Rule(
        text="The quantity of a need changes at most 50 times.",
        checked_by="federation.domain.content.participation:Participation",
    ),
    43: Rule(
        text=(
            "The `offer` of a deployment is that of its stored revision: a new one is a record of"
            " `/v1/offers`."
        ),
        checked_by="federation.domain.content.deployment:Deployment",
    ),
    44: Rule(
        text="A contribution is about a record of another type.",
        checked_by="federation.domain.content.contribution:Contribution",
    ),
    45: Rule(
        text=(
            "The subject of a contribution that is not RED is CLEAR or GREEN, as far as the node has it; a"
            " new contribution has its label, and a revised one none that is wider."
        ),
        checked_by="federation.node.contribution_labels:with_label_of_subject",
    ),
}
