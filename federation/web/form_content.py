"""The content of a record in the fields of its form, and back.

What no field asks for, and what was not typed anew, stays as it is stored: other languages, other members,
seconds of a time, the names of bodies. So a form changes what its writer changed, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from federation.domain.values import as_instant, instant
from federation.web.fields import MAX_ROWS, WRITTEN_LANGUAGES, Field
from federation.web.forms import Form, whole_number
from federation.web.language import screen_text as t

ABSENT: Any = object()
AT = "at"
"""The hidden field of a row with its number in the stored record."""
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_DECIMAL = re.compile(r"(-?)([0-9]{1,12})(?:[.,]([0-9]{1,6}))?")
_SCHEMES = {9: "0002", 14: "0009", 5: "cog"}
"""Schemes of bodies by the length of their number: SIREN, SIRET, INSEE code."""
_DIGITS = {"cents": 2, "micros": 6}


def fields_of(content: Mapping[str, Any], fields: Sequence[Field], zone: tzinfo) -> dict[str, list[str]]:
    """The form of a content: what each control shows."""
    form: dict[str, list[str]] = {}
    for field in fields:
        stored = _get(content, field.name)
        if field.kind == "rows":
            for index, row in enumerate(_rows_of(stored)[:MAX_ROWS]):
                form[f"{field.name}.{index}.{AT}"] = [str(index)]
                for name, values in fields_of(row, field.rows, zone).items():
                    form[f"{field.name}.{index}.{name}"] = values
        elif field.kind in ("words", "prose"):
            for language in WRITTEN_LANGUAGES:
                if isinstance(stored, Mapping) and language in stored:
                    form[f"{field.name}.{language}"] = [str(stored[language])]
        elif (texts := _shown(field, stored, zone)) is not None:
            form[field.name] = texts
    return form


def _shown(field: Field, stored: Any, zone: tzinfo) -> list[str] | None:
    """The text of a control, or the boxes that are ticked; None for a member that is absent."""
    if stored is ABSENT:
        return None
    match field.kind:
        case "several":
            return [str(value) for value in stored]
        case "lines":
            return ["\n".join(str(value) for value in stored)]
        case "bodies":
            return ["\n".join(map(_body_line, stored))]
        case "cents" | "micros":
            return [_decimal_text(int(stored), _DIGITS[field.kind])]
        case "moment":
            return [instant(str(stored)).astimezone(zone).strftime("%Y-%m-%dT%H:%M")]
        case "yes-no":
            return ["true" if stored else "false"]
    return [str(stored)]


def _decimal_text(value: int, digits: int) -> str:
    whole, part = divmod(abs(value), 10**digits)
    text = f"{part:0{digits}d}".rstrip("0")
    return f"{'-' if value < 0 else ''}{whole}{f'.{text}' if text else ''}"


def _body_line(body: Mapping[str, Any]) -> str:
    identifier = body["identifiers"][0]
    scheme, value = identifier["scheme"], identifier["value"]
    return str(value) if _SCHEMES.get(len(value)) == scheme else f"{scheme}:{value}"


class FormContent:
    """The content that a form stands for, with its faults and the fields of its members."""

    def __init__(self, form: Form, zone: tzinfo) -> None:
        self._form = form
        self._zone = zone
        self.faults: list[tuple[str, str]] = []
        """Names of controls, each with a text of the screen."""
        self.names: dict[str, str] = {}
        """Names of controls by pointer."""

    def read(self, stored: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
        """The stored content with what was typed."""
        content = _copy(stored)
        self._read_into(content, stored, fields, "", "/content")
        return content

    def _read_into(
        self,
        content: dict[str, Any],
        stored: Mapping[str, Any],
        fields: Sequence[Field],
        prefix: str,
        pointer: str,
    ) -> None:
        for field in fields:
            name = f"{prefix}{field.name}"
            path = f"{pointer}/{field.name.replace('.', '/')}"
            before = _get(stored, field.name)
            self.names[path] = f"{name}.{WRITTEN_LANGUAGES[0]}" if field.kind in ("words", "prose") else name
            if field.kind == "rows":
                value = self._rows(field, name, path, before)
            elif field.kind in ("words", "prose"):
                value = self._words(name, path, before)
            else:
                value = self._value(field, name, before)
            if field.when is not None and self._form.value(f"{prefix}{field.when[0]}") != field.when[1]:
                if value is not ABSENT and value != before:
                    self.faults.append((name, t("Leave this empty, or choose above what it belongs to.")))
                value = ABSENT
            _put(content, field.name, value)

    def _value(self, field: Field, name: str, before: Any) -> Any:
        if field.kind == "several":
            ticked = self._form.values(name)
            if before is not ABSENT and set(ticked) == set(before):
                return before  # in the order in which it is stored
            return ticked or ABSENT
        text = self._form.value(name)
        shown = _shown(field, before, self._zone)
        if shown is not None and text == shown[0].strip():
            return before
        if not text:
            return ABSENT
        match field.kind:
            case "lines":
                return [line.strip() for line in text.split("\n") if line.strip()]
            case "bodies":
                return self._bodies(name, text, before)
            case "number":
                if _WHOLE.fullmatch(text.replace(" ", "")):
                    return int(text.replace(" ", ""))
                return self._fault(name, t("Write a whole number in digits, such as 12."))
            case "cents" | "micros":
                return self._decimal(name, text, _DIGITS[field.kind])
            case "moment":
                return self._moment(name, text)
            case "yes-no":
                return text == "true"
        return text

    def _fault(self, name: str, text: str) -> Any:
        self.faults.append((name, text))
        return ABSENT

    def _decimal(self, name: str, text: str, digits: int) -> Any:
        read = _DECIMAL.fullmatch(re.sub(r"[\s€]", "", text))
        if read is None or len(read[3] or "") > digits:
            return self._fault(name, t("Write an amount in digits, such as 48 or 12.50."))
        return int(f"{read[1]}{read[2]}{(read[3] or '').ljust(digits, '0')}")

    def _moment(self, name: str, text: str) -> Any:
        try:
            moment = datetime.fromisoformat(text)
            local = moment if moment.tzinfo is not None else moment.replace(tzinfo=self._zone)
            return f"{as_instant(local.astimezone(UTC))[:19]}Z"
        except (ValueError, OverflowError):
            return self._fault(name, t("Write day and time, such as 2026-03-01T09:30."))

    def _bodies(self, name: str, text: str, before: Any) -> Any:
        known = {_body_line(body): body for body in (before if before is not ABSENT else ())}
        bodies = []
        for line in filter(None, (part.strip() for part in text.split("\n"))):
            number = re.sub(r"\s", "", line)
            scheme, colon, value = number.partition(":")
            if not colon:
                scheme, value = _SCHEMES.get(len(number), ""), number
            if not scheme or len(value) > 64:
                return self._fault(
                    name, t("Each line has a SIREN (9 digits), a SIRET (14) or an INSEE code (5).")
                )
            bodies.append(known.get(number) or {"identifiers": [{"scheme": scheme, "value": value}]})
        return bodies

    def _words(self, name: str, path: str, before: Any) -> Any:
        words = dict(before) if isinstance(before, Mapping) else {}
        for language in WRITTEN_LANGUAGES:
            self.names[f"{path}/{language}"] = f"{name}.{language}"
            typed = self._form.value(f"{name}.{language}")
            if typed == str(words.get(language, "")).strip():
                continue
            if typed:
                words[language] = typed
            else:
                words.pop(language, None)
        return words or ABSENT

    def _rows(self, field: Field, name: str, path: str, before: Any) -> Any:
        stored = _rows_of(before)
        rows: list[Any] = []
        for index in range(number_of_rows(self._form, name)):
            row_name = f"{name}.{index}"
            at = whole_number(self._form.value(f"{row_name}.{AT}"), len(stored) - 1)
            of_row = stored[at] if at is not None else {}
            if is_empty_row(self._form, field, row_name):
                continue
            row = _copy(of_row)
            self.names[f"{path}/{len(rows)}"] = next(name for name in field.rows[0].in_row(name, index).names)
            self._read_into(row, of_row, field.rows, f"{row_name}.", f"{path}/{len(rows)}")
            rows.append(row)
        rows += stored[MAX_ROWS:]
        return rows or ABSENT


def number_of_rows(form: Form, name: str) -> int:
    """Rows that a form has of repeated parts."""
    pattern = re.compile(rf"{re.escape(name)}\.([0-9]{{1,3}})\.")
    numbers = (int(found[1]) for field in form.fields if (found := pattern.match(field)))
    return min(max(numbers, default=-1) + 1, MAX_ROWS)


def is_empty_row(form: Form, field: Field, row_name: str) -> bool:
    """True for a row in which nothing is typed: it is left out."""
    return not any(form.values(f"{row_name}.{name}") for part in field.rows for name in part.names)


def _rows_of(stored: Any) -> list[Any]:
    return list(stored) if isinstance(stored, Sequence) and not isinstance(stored, str) else []


def _copy(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A copy whose groups of members can be changed."""
    return {name: _copy(value) if isinstance(value, Mapping) else value for name, value in stored.items()}


def _get(content: Mapping[str, Any], path: str) -> Any:
    value: Any = content
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return ABSENT
        value = value[name]
    return value


def _put(content: dict[str, Any], path: str, value: Any) -> None:
    """Set a member, or take it away with the groups that have nothing left."""
    first, dot, rest = path.partition(".")
    if dot:
        group = content.setdefault(first, {})
        _put(group, rest, value)
        if not group:
            del content[first]
    elif value is ABSENT:
        content.pop(first, None)
    else:
        content[first] = value
