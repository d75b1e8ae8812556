"""The form of a record: shown, read, checked, reviewed with the names of its readers, and published.

1. The form shows the stored record (``form_content.fields_of``) and has the hash of what was read.
2. What is sent is read over the record as it is stored now. Where that has another hash, somebody has changed
   it meanwhile: the form is shown again with both (412).
3. A dry run finds what the node would refuse, and who would see the record that did not before.
4. The review names the readers. A wider label than before takes a tick there.
5. Publishing has the hash as its precondition, so that nothing slips in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from federation.domain.document import mint_key
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Conflict, Forbidden, Invalid, PreconditionFailed, Refused, Retracted
from federation.domain.record import draft_of, equals_stored
from federation.domain.record_content import Content
from federation.domain.stored import StoredRecord
from federation.domain.visibility import LABELS as TLP_LABELS
from federation.node import default_labels, records
from federation.node.audiences import Audience, audience, own_groups
from federation.node.previews import DryRun, Preview
from federation.node.records import Preconditions
from federation.web.fields import WRITTEN_LANGUAGES, Field
from federation.web.form_content import AT, FormContent, fields_of, number_of_rows
from federation.web.forms import Form
from federation.web.language import screen_text as t
from federation.web.listing import value_words
from federation.web.visit import Visit


class Line(msgspec.Struct, frozen=True):
    """A control in a review: its label, and its text before and after."""

    label: str
    before: str
    after: str


class Review(msgspec.Struct, frozen=True):
    """What would be published."""

    draft: Draft[Any]
    audience: Audience
    lines: tuple[Line, ...]
    """What changes; of a new record, all of it."""
    preview: Preview
    appears_at: tuple[str, ...]
    """Operators that would see it and do not see it now; ``*``: everybody."""
    disappears_from: tuple[str, ...]
    changes_nothing: bool


class RecordForm:
    """One form of a record of this node's operator."""

    def __init__(
        self,
        visit: Visit,
        kind: type[Content],
        fields: Sequence[Field],
        key: str | None,
        stored: StoredRecord | None,
    ) -> None:
        self.visit = visit
        self.kind = kind
        self.fields = fields
        self.key = key
        self.stored = stored
        self.base: dict[str, Any] = draft_of(stored.document) if stored is not None else {"content": {}}
        self.form = visit.form or Form()
        self._names: dict[str, str] = {}

    @property
    def revision(self) -> str:
        """The hash of the record as it is stored; empty for a new one."""
        return self.stored.hash.hex() if self.stored is not None else ""

    @property
    def content(self) -> Mapping[str, Any]:
        """The content as it is stored."""
        return self.base.get("content") or {}

    def fill(self, prefilled: Mapping[str, str] | None = None) -> None:
        """Fill the form from the stored record, or from what a link says of a new one."""
        fields = fields_of(self.content, self.fields, self.visit.node.time_zone)
        if self.stored is None:
            known = {name for field in self.fields for name in field.names}
            fields |= {name: [text] for name, text in (prefilled or {}).items() if name in known}
        else:
            fields["tlp"] = [self.base["tlp"]]
            fields["audience"] = [self.base.get("audience") or ""]
        fields["revision"] = [self.revision]
        self.form = Form(fields)

    @property
    def is_overtaken(self) -> bool:
        """True where the record is not in the state that the form was made from."""
        return self.form.value("revision") != self.revision

    def rebase(self) -> tuple[Line, ...]:
        """Go on from the record as it is now. Returns what is typed beside what is stored."""
        zone = self.visit.node.time_zone
        stored = fields_of(self.content, self.fields, zone)
        lines = tuple(self._lines(stored, self.form.fields))
        for name in [name for name in self.form.fields if name.endswith(f".{AT}")]:
            # A row goes on from the stored row of its number while they begin with the same words.
            row = name.removesuffix(AT)
            parts = next((part.rows for part in self.fields if row.startswith(f"{part.name}.")), ())
            if not parts:
                continue
            of_stored = f"{row.rsplit('.', 2)[0]}.{self.form.value(name)}."
            first = parts[0].names[0]
            if stored.get(f"{of_stored}{first}", [""])[0] != self.form.value(f"{row}{first}"):
                del self.form.fields[name]
        self.form.fields["revision"] = [self.revision]
        return lines

    def read(self) -> Draft[Any] | None:
        """What the form says, checked; None where it has faults, which stand beside their fields."""
        reading = FormContent(self.form, self.visit.node.time_zone)
        content = reading.read(self.content, self.fields)
        self._names = {**reading.names, "/tlp": "tlp", "/audience": "audience", "/key": "key"}
        for pointer, name in tuple(self._names.items()):
            while (pointer := pointer.rpartition("/")[0]) not in ("", "/content"):
                self._names.setdefault(pointer, name)
        for name, text in reading.faults:
            self.form.refuse(name, self.visit.text(text))
        label = self.form.value("tlp") or self.base.get("tlp")
        draft = {**self.base, "content": content, "tlp": label}
        draft["audience"] = self.form.value("audience") or None
        given = {name: value for name, value in draft.items() if value is not None}
        shape: Any = Draft
        try:
            checked: Draft[Any] = check_draft(given, shape[self.kind])
        except Invalid as error:
            self.refuse(error)
            return None
        return None if self.form.faults else checked

    def refuse(self, error: Refused) -> None:
        """Note a refusal beside the fields that it is about."""
        if error.faults:
            self.form.refuse_all(error.faults, self.visit.language, self._names)
        else:
            self.form.refuse("", error.message.to_text(self.visit.language))

    async def review(self) -> Review | None:
        """What would be published; None where the form has faults, or the node would refuse it."""
        draft = self.read()
        if draft is None:
            return None
        if self.key is None:
            self.key = self.form.value("key") or mint_key()
        node, by = self.visit.node, self.visit.caller
        if draft.tlp is None:
            # What is reviewed is what is published, also if the usual label is another one by then.
            public = await default_labels.label_of_outages(node) == "CLEAR"
            draft = msgspec.structs.replace(draft, tlp=draft.content.label_at_creation(public_outages=public))
            self.form.fields["tlp"] = [str(draft.tlp)]
        preview = Preview.nothing()
        try:
            await self._publish(draft, dry_run=True)
        except DryRun as run:
            preview = run.preview
        except PreconditionFailed:
            if not await self._is_published(draft):
                self.form.refuse("key", self.visit.text(t("There is a record of this name already.")))
                return None
        except (Invalid, Forbidden, Conflict) as error:
            self.refuse(error)
            return None
        effect = next(
            (part for part in preview.effects if (part.type, part.key) == (self.kind.type, self.key)), None
        )
        label = str(draft.tlp)
        after = fields_of(msgspec.to_builtins(draft.content), self.fields, node.time_zone)
        before = fields_of(self.content, self.fields, node.time_zone)
        return Review(
            draft=draft,
            audience=await audience(node, label, draft.audience, by=by),
            lines=tuple(self._lines(before, after)),
            preview=preview,
            appears_at=effect.appears_at if effect is not None else (),
            disappears_from=effect.disappears_from if effect is not None else (),
            changes_nothing=self.stored is not None and equals_stored(draft, self.stored.document),
        )

    def is_widened(self, review: Review) -> bool:
        """True where operators would see a record that they do not see now."""
        return self.stored is not None and bool(review.appears_at)

    async def publish(self, review: Review) -> bool:
        """Publish what was reviewed. False where somebody has changed the record in this moment."""
        try:
            await self._publish(review.draft, dry_run=False)
        except PreconditionFailed:
            return await self._is_published(review.draft)
        return True

    async def _publish(self, draft: Draft[Any], *, dry_run: bool) -> None:
        if self.stored is None:
            preconditions = Preconditions(none_match=frozenset({"*"}))
        else:
            preconditions = Preconditions(match=frozenset({self.revision}))
        await records.publish(
            self.visit.node,
            self.kind,
            draft,
            self.visit.node.operator,
            self.key or "",
            by=self.visit.caller,
            preconditions=preconditions,
            dry_run=dry_run,
        )

    async def _is_published(self, draft: Draft[Any]) -> bool:
        """True where the record is as the draft has it: the form was sent twice."""
        stored = await find(self.visit, self.kind, self.key or "")
        return stored is not None and equals_stored(draft, stored.document)

    async def view(self, extra_row: str = "") -> dict[str, Any]:
        """What the template of the form needs."""
        own = self.visit.caller
        groups = await own_groups(self.visit.node, by=own)
        labels = [
            label
            for label in TLP_LABELS
            if label in ("CLEAR", "GREEN") or (groups and label.startswith("AMBER")) or own.sees_all
        ]
        rows = {
            field.name: max(
                number_of_rows(self.form, field.name) + (field.name == extra_row), int(field.required)
            )
            for field in self.fields
            if field.kind == "rows"
        }
        return {
            "form": self.form,
            "fields": self.fields,
            "rows": rows,
            "kind": self.kind.type,
            "key": self.key,
            "is_new": self.stored is None,
            "tlp_options": [
                (label, f"TLP:{label} – {value_words(self.visit, 'tlp', label)}")
                for label in (["RED"] if self.kind.type == "group" else labels)
            ],
            "groups": groups,
            "group_options": [(group, group) for group in groups],
            **control_view(self.visit),
        }

    def _lines(self, before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> Iterator[Line]:
        """The controls whose texts differ, in the order of the form."""
        for name, label, labels in self._controls(before, after):
            texts = [
                ", ".join(value_words(self.visit, labels, value.strip()) for value in form.get(name, ()))
                for form in (before, after)
            ]
            if texts[0].split() != texts[1].split():
                yield Line(label, *texts)

    def _controls(
        self, before: Mapping[str, list[str]], after: Mapping[str, list[str]]
    ) -> Iterator[tuple[str, str, str]]:
        """Name, label and enumeration of each control."""
        for field in self.fields:
            if field.kind != "rows":
                yield from self._named(field)
                continue
            forms = (Form(before), Form(after))
            for index in range(max(number_of_rows(form, field.name) for form in forms)):
                for part in field.rows:
                    for name, label, labels in self._named(part.in_row(field.name, index)):
                        yield name, f"{self.visit.text(field.label)} {index + 1}, {label}", labels

    def _named(self, field: Field) -> Iterator[tuple[str, str, str]]:
        for name in field.names:
            label = self.visit.text(field.label)
            if len(field.names) > 1:
                label = f"{label} ({name.rpartition('.')[2]})"
            yield name, label, field.labels


def control_view(visit: Visit) -> dict[str, Any]:
    """What the template of the controls needs."""

    def options_of(field: Field) -> list[tuple[str, str]]:
        return [(value, value_words(visit, field.labels, value)) for value in field.options]

    return {"options_of": options_of, "languages_written": WRITTEN_LANGUAGES}


async def find(visit: Visit, kind: type[Content], key: str) -> StoredRecord | None:
    """A record of this node's operator, as far as the visitor may see it; None for one that was retracted.

    Raises NotFound.
    """
    stored = await records.find(visit.node, kind, visit.node.operator, key, by=visit.caller)
    return None if stored.retracted else stored


async def find_live(visit: Visit, kind: type[Content], key: str) -> StoredRecord:
    """Raises NotFound, Retracted."""
    stored = await find(visit, kind, key)
    if stored is None:
        raise Retracted("{name} has been retracted", name=f"{visit.node.operator}/{key}")
    return stored
