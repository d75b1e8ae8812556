"""The rules of the schema that JSON Schema does not say, by number.

A document that its JSON Schema takes and a node refuses breaks one of these; ``errors[].rule`` names it. A
number is never given to another rule.
"""

from __future__ import annotations

RULES: dict[int, str] = {
    1: "A date, and a date-time, is one of the calendar: not 30 February.",
    2: "A moment that ends something is not before the one that begins it: `resolved_at` not before"
    " `started_at` and `detected_at`, `scheduled_until` not before `scheduled_for`, `until` not before"
    " `since`.",
    3: "The check digits of an identifier hold: SIREN (`0002`), SIRET (`0009`), Belgian enterprise number"
    " (`0208`); an INSEE code (`cog`) has its form.",
    4: "A package has a `purl` or a `cpe`.",
    5: "An entry of `affects` has `solution` or `deployments`.",
    6: "The `status` of an incident is one that its `kind` can have.",
    7: "A maintenance has `scheduled_for`.",
    8: "An incident that is no maintenance has `started_at` or `detected_at`.",
    9: "A statement has a `justification` exactly where its `status` is `known_not_affected`.",
    10: "A deployment whose `version_state` is `exact` has a `version`.",
    11: "A step of a reporting deadline is one of its regimes, and is done once.",
    12: "A subscription has either a `webhook` or an `email`.",
    13: "A group is TLP:RED.",
    14: "The identifiers of one body name the same body of the register.",
    15: "A record of TLP:AMBER or AMBER+STRICT has the `audience` of a group, and no other record has one.",
    16: "A `licence` is an expression of licences of the SPDX list, or of `LicenseRef-` names.",
    17: "A theme is one of the list.",
    18: "A `purl` names a package, and a `cpe` a product.",
    19: "An address has a host that can be read, no user name or password before it, and no secret among its"
    " parameters (RFC 3986, 3.2).",
    20: "A text is in Unicode normal form C, has no control or invisible characters but line feed and tab,"
    " and does not end with a line feed.",
    21: "The timeline of an incident only grows, and the status of a new line is one that its `kind` can"
    " have.",
    22: "No object has a member twice, and objects and arrays are at most 32 deep.",
}
