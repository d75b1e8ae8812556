"""Forms that change a record of this operator: its state when the form was made, and the revision published.

A form has the hash of the record in a hidden field. When somebody else has changed the record meanwhile, the
form comes back with what was typed and says so; nothing is overwritten unseen.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid, NotFound, PreconditionFailed
from federation.domain.record import draft_of
from federation.domain.record_content import Content
from federation.node import records
from federation.node.records import Preconditions
from federation.web.contributions import refuse
from federation.web.visit import Visit

STATE = "record_state"
"""The hidden field with the hash of the record that the form was made from; empty for a new one."""


class OwnRecord(NamedTuple):
    """A record of this operator as a form changes it."""

    kind: type[Content]
    key: str
    state: str
    """The hash of the record; empty where there is none yet."""
    draft: dict[str, Any]
    """The envelope members of its writer, and its content; as JSON."""

    @property
    def content(self) -> Any:
        """The content as its type has it."""
        return msgspec.convert(self.draft["content"], self.kind)


async def own_record(visit: Visit, kind: type[Content], origin: str, key: str) -> OwnRecord:
    """The record. Raises NotFound, and NotTheWriter for one of another operator."""
    records.check_origin(visit.node, origin, key)
    stored = await records.find(visit.node, kind, origin, key, by=visit.caller)
    if stored.retracted or stored.not_understood is not None:
        raise NotFound(
            "there is no {kind} {origin}/{key} that you may see", kind=kind.type, origin=origin, key=key
        )
    return OwnRecord(kind, key, stored.hash.hex(), draft_of(stored.document))


async def publish_form(
    visit: Visit, record: OwnRecord, content: dict[str, Any], fields: dict[str, str], **envelope: Any
) -> bool:
    """Publish a content. False where the form has noted what is wrong with it.

    ``fields``: names of fields by the pointer to the member that they stand for.
    """
    form = await visit.read_form()
    shape: Any = Draft
    state = form.value(STATE)
    conditions = (
        Preconditions(match=frozenset({state})) if state else Preconditions(none_match=frozenset("*"))
    )
    try:
        draft = check_draft({**record.draft, **envelope, "content": content}, shape[record.kind])
        if form.faults:
            return False
        await records.publish(
            visit.node,
            record.kind,
            draft,
            visit.node.operator,
            record.key,
            by=visit.caller,
            preconditions=conditions,
        )
    except PreconditionFailed:
        form.refuse(
            "",
            visit.text(
                "Somebody has changed this record meanwhile. Compare with its page, then send the form again."
            ),
        )
        return False
    except Invalid as error:
        refuse(form, visit, error, fields)
        return False
    return True
