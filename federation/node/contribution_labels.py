"""The label of a contribution, by that of its subject.

1. A contribution that is RED is nobody else's: it is free.
2. A subject that is not here, or that the writer may not see, decides nothing. Others see the contribution
   where they may see the subject (``store/visibility.py``).
3. A subject for a group, or RED, takes none: the refusal names the contact of the subject.
4. Else a new contribution has the label of the subject, also where its writer names none. A later write
   keeps its label, or names one that is not wider than the subject's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from federation.domain.content.contribution import Contribution
from federation.domain.content.operator import Operator
from federation.domain.document import Envelope
from federation.domain.draft import Draft
from federation.domain.errors import Invalid
from federation.domain.record_content import Content
from federation.domain.stored import StoredRecord, StoredRevision
from federation.domain.visibility import Caller, Tlp, is_wider
from federation.store.database import Reading, Writing


async def with_label_of_subject(
    tx: Reading | Writing, kind: type[Content], edited: Any, stored: StoredRevision | None, by: Caller
) -> Any:
    """The draft of a contribution with its label; whatever else an edit makes, as it is. Raises Invalid."""
    if kind is not Contribution or not isinstance(edited, Draft) or edited.tlp == "RED":
        return edited
    about = edited.content.about
    origin, _, key = about.id.partition("/")
    subject = await tx.records.find(about.type, origin, key, visible_to=by)
    if subject is None:
        return edited
    before = stored.document if stored is not None and not stored.retracted else None
    is_new = before is None
    if subject.retracted:
        if is_new:
            raise Invalid(
                "{subject} has been retracted",
                subject=f"{about.type} {about.id}",
                pointer="/content/about/id",
                fault="rule",
                rule=45,
            )
        return edited
    chosen = edited.tlp or (_label_of(before) if before is not None else None)
    if chosen == "RED":
        return edited
    label = _label_of(subject.document)
    if label not in ("CLEAR", "GREEN"):
        raise Invalid(
            "{subject} is TLP:{label}, and takes no contributions: write to {contact}",
            subject=f"{about.type} {about.id}",
            label=label,
            contact=await _contact_of(tx, origin, subject, by),
            pointer="/content/about/id",
            fault="rule",
            rule=45,
        )
    chosen = chosen or label
    if chosen != label and (is_new or is_wider(chosen, label)):
        raise Invalid(
            "{subject} is TLP:{label}, and so is a contribution to it",
            subject=f"{about.type} {about.id}",
            label=label,
            pointer="/tlp",
            fault="rule",
            rule=45,
        )
    return msgspec.structs.replace(edited, tlp=chosen)


def _label_of(document: bytes) -> Tlp:
    return msgspec.json.decode(document, type=Envelope).tlp


class _Content(msgspec.Struct):
    contact: str | None = None


class _Contacted(msgspec.Struct):
    content: _Content


async def _contact_of(tx: Reading | Writing, origin: str, subject: StoredRecord, by: Caller) -> str:
    """The contact of a record, or of its operator; the id of the operator where neither is known."""
    for stored in (subject, await tx.records.find(Operator.type, origin, origin, visible_to=by)):
        if stored is None or stored.retracted:
            continue
        try:
            content = msgspec.json.decode(stored.document, type=_Contacted).content
        except msgspec.ValidationError:  # of a type that this version does not know
            continue
        if content.contact is not None:
            return content.contact
    return origin
