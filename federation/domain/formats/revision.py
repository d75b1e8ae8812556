"""The draft of an incident for a finding: a new one, or the next revision of the stored one.

Its label is never wider than that of its source (TLP 2.0). Time goes forward: an older copy of a document
changes nothing, and what was withdrawn is open again when a newer document says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from federation.domain.errors import Invalid
from federation.domain.formats.advisory import Finding
from federation.domain.formats.document import age, describe_age
from federation.domain.formats.incident import OWNED, DraftIncident
from federation.domain.values import as_instant
from federation.domain.visibility import Tlp, is_wider


class Label(NamedTuple):
    """Label and audience that the importer asks for; None for those of the source."""

    tlp: Tlp | None = None
    audience: str | None = None


class Revision(NamedTuple):
    """The next draft of a stored incident, or None where nothing changes, and the reason."""

    draft: dict[str, Any] | None
    reason: str | None = None


def first_draft(incident: DraftIncident, finding: Finding, label: Label) -> dict[str, Any]:
    """The draft of a new incident. Raises Invalid for a label that would be wider than its source's."""
    return {**_members(label_of(finding, label)), "content": incident.content}


def label_of(finding: Finding, label: Label) -> Label:
    """Label and audience of a new incident.

    None for the label that incidents of this kind have. Raises Invalid for a wider label than the source's;
    for a source of TLP:AMBER or AMBER+STRICT when no audience is named, since a group means something at one
    operator only; and for a source that restricts its distribution in words.
    """
    _check_width(finding, label)
    if label.tlp is not None:
        return label
    if finding.restriction:
        raise Invalid(
            f"the advisory restricts its distribution in words: {finding.restriction[:200]!r}; name the label"
            " that this asks for",
            pointer="/tlp",
        )
    if finding.tlp == "RED":
        return Label("RED", label.audience)
    if finding.tlp in ("AMBER", "AMBER+STRICT"):
        if label.audience is None:
            raise Invalid(
                f"the advisory is TLP:{finding.tlp}: name the group that may see it as audience,"
                " or label it RED",
                pointer="/audience",
            )
        return Label(finding.tlp, label.audience)
    return label


def _check_width(finding: Finding, label: Label) -> None:
    if label.tlp is not None and finding.tlp is not None and is_wider(label.tlp, finding.tlp):
        raise Invalid(
            f"the advisory is TLP:{finding.tlp}; TLP:{label.tlp} would show it to more readers",
            pointer="/tlp",
        )


def _members(label: Label) -> dict[str, Any]:
    return {name: value for name, value in label._asdict().items() if value}


def revise(stored: Mapping[str, Any], incident: DraftIncident, finding: Finding, label: Label) -> Revision:
    """The stored draft with the members of a newer document. It keeps its label, unless that is too wide.

    A document of the same age replaces the members too, where they differ; it re-opens nothing. Raises
    Invalid for an incident that is no vulnerability, and for a label that is wider than the source's.
    """
    content = stored["content"]
    if content.get("kind") != "vulnerability":
        raise Invalid(f"the incident of this key is of kind {content.get('kind')} and not an advisory's")
    _check_width(finding, label)
    source, new_source = content.get("source", {}), incident.content["source"]
    order = age(finding, source)
    if order == -1:
        return Revision(None, older_copy(finding, source))
    draft = _narrow(stored, finding, label)
    unchanged = draft if draft != stored else None
    withdrawn = incident.content.get("status") == "withdrawn"
    is_same = source.get("sha256") == new_source["sha256"]
    if is_same and ("document" in source or "document" not in new_source):
        return Revision(unchanged)  # also where the operator has withdrawn it: that is its word
    status = content["status"]
    if withdrawn:
        status = "withdrawn"
    elif status == "withdrawn" and (is_same or order == 0):
        return Revision(unchanged, "it is withdrawn, and this copy of the document is not newer")
    elif status == "withdrawn":
        status = "open"
    own = {name: value for name, value in content.items() if name not in OWNED or withdrawn}
    owned = {name: value for name, value in incident.content.items() if name in OWNED}
    revised = {**own, **owned, "status": status}
    if order == 0 and {**revised, "source": {}} == {**content, "source": {}}:
        return Revision(unchanged)  # the same version in other bytes
    return Revision({**draft, "content": revised})


def older_copy(finding: Finding, source: Mapping[str, Any]) -> str:
    """The reason that an older copy of a document changes nothing."""
    modified = as_instant(finding.modified) if finding.modified else None
    here = describe_age(source.get("version"), source.get("modified_at"))
    return f"an older copy: it is {describe_age(finding.version, modified)}, and {here} is here"


def _narrow(stored: Mapping[str, Any], finding: Finding, label: Label) -> dict[str, Any]:
    """The draft with a narrower label, where its source or the importer asks for one."""
    if finding.tlp is not None and is_wider(stored["tlp"], finding.tlp):
        narrower = label_of(finding, label)
    elif label.tlp is not None and is_wider(stored["tlp"], label.tlp):
        narrower = label
    else:
        return dict(stored)
    return {name: value for name, value in stored.items() if name not in ("tlp", "audience")} | _members(
        narrower
    )
