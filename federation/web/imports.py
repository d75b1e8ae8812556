"""Import a file: upload it, read what would become of each record, and then import it."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.errors import Refused
from federation.domain.formats.columns import Suggestion
from federation.domain.formats.sheets.mapping import fields_of
from federation.domain.registry import TYPES
from federation.domain.sources.kinds import KINDS
from federation.domain.sources.report import RunReport
from federation.domain.sources.uploaded import UploadedFile
from federation.domain.visibility import TLPS, Tlp
from federation.edge.operations import Right
from federation.node import imports, uploaded_files
from federation.node.imports import FileImport
from federation.node.uploaded_files import MAX_FILE_BYTES
from federation.web.forms import Form
from federation.web.labels import LABELS
from federation.web.language import screen_text as t
from federation.web.pages import page
from federation.web.visit import Visit

WRITE = Right("imports.write")
MAX_UPLOAD_BYTES = MAX_FILE_BYTES + 65_536
"""Bytes of a form with a file."""
WITH_PAGES = ("solution", "deployment", "incident", "consultation", "purchase", "practice", "meeting")
"""Types of records that have a page each."""
PLURALS = {name: kind.plural for name, kind in TYPES.items() if name in WITH_PAGES}
"""Their plural names, as addresses of pages have them."""


def kind_words(visit: Visit, kind: str) -> str:
    """The name of a kind of sources in the language of the visitor."""
    text = LABELS["source_kind"].get(kind)
    return kind if text is None else visit.text(text)


TYPES_OF_ROWS = {
    "deployments": t("Deployments"),
    "solutions": t("Solutions"),
    "offers": t("Offers"),
    "participations": t("Needs of bodies"),
}
"""Types of records that the rows of a spreadsheet can be."""


@page("/import", act="page_import", right=WRITE)
async def choose_file(visit: Visit) -> ASGIResponse:
    """Ask for a file and its kind."""
    return _choice(visit, Form())


def _choice(visit: Visit, form: Form, status: int = 200) -> ASGIResponse:
    kinds = [(name, kind_words(visit, name)) for name, kind in KINDS.items() if kind.way != "event"]
    return visit.page("import.html", status=status, alternate="/v1/imports", form=form, kinds=kinds)


@page("/import", act="page_import_upload", right=WRITE, method="POST", max_bytes=MAX_UPLOAD_BYTES, files=True)
async def upload_file(visit: Visit) -> ASGIResponse:
    """Store a file for an hour, and go on to its dry run."""
    form, file = await visit.read_upload(MAX_UPLOAD_BYTES)
    if file is None:
        form.refuse("file", visit.text("Choose a file."))
        return _choice(visit, form, 400)
    try:
        id_ = await uploaded_files.add(visit.node, file.name, form.value("kind"), file.raw, by=visit.caller)
    except Refused as error:
        form.refuse("kind" if error.pointer == "/kind" else "", error.message.to_text(visit.language))
        return _choice(visit, form, 400)
    return visit.to(f"/import/{id_}")


@page("/import/{id_:str}", act="page_import_check", right=WRITE)
async def check_file(visit: Visit, id_: str) -> ASGIResponse:
    """Show what would become of each record of the file."""
    file = await uploaded_files.find(visit.node, id_, by=visit.caller)
    return await _check(visit, file, Form({name: [value] for name, value in visit.pairs}))


async def _check(visit: Visit, file: UploadedFile, form: Form) -> ASGIResponse:
    report = suggestion = None
    try:
        suggestion = await imports.suggest_columns(file)
        report = await _import(visit, file, form, dry_run=True)
    except Refused as error:
        for text in _texts_of(visit, error):
            form.refuse("", text)
    return _page(visit, file, form, report, suggestion, status=400 if form.faults else 200)


def _texts_of(visit: Visit, error: Refused) -> list[str]:
    messages = [fault.message for fault in error.faults] or [error.message]
    return [message.to_text(visit.language) for message in messages]


async def _with_columns(visit: Visit, file: UploadedFile, form: Form) -> UploadedFile:
    """The file with the meaning of its columns that was chosen, where the form has one. Raises Refused."""
    type_ = form.value("type")
    suggestion = await imports.suggest_columns(file) if type_ else None
    if suggestion is None:
        return file
    options: dict[str, Any] = msgspec.json.decode(file.options)
    chosen = {
        column.head: field
        for number, column in enumerate(suggestion.columns)
        if (field := form.value(f"column-{number}")) and column.head
    }
    is_other_type = type_ != suggestion.mapping.type  # its columns are suggested anew
    options |= {"type": type_, "columns": {} if is_other_type else chosen}
    await uploaded_files.change_options(visit.node, file.id, options, by=visit.caller)
    return file._replace(options=msgspec.json.encode(options))


async def _import(visit: Visit, file: UploadedFile, form: Form, *, dry_run: bool) -> RunReport:
    asked = FileImport(
        kind=file.kind,
        options=msgspec.json.decode(file.options),
        tlp=_label(form.value("tlp")),
        audience=form.value("audience") or None,
        dry_run=dry_run,
    )
    return await imports.import_file(visit.node, file.raw, asked, by=visit.caller)


def _label(text: str) -> Tlp | None:
    labels: dict[str, Tlp] = {"CLEAR": "CLEAR", "GREEN": "GREEN", "AMBER": "AMBER"}
    labels |= {"AMBER+STRICT": "AMBER+STRICT", "RED": "RED"}
    return labels.get(text)


def _page(
    visit: Visit,
    file: UploadedFile,
    form: Form,
    report: RunReport | None,
    suggestion: Suggestion | None = None,
    *,
    status: int = 200,
) -> ASGIResponse:
    type_ = suggestion.mapping.type if suggestion is not None else None
    chosen = msgspec.json.decode(file.options).get("columns")
    columns = suggestion.columns if suggestion is not None else ()
    return visit.page(
        "import_file.html",
        status=status,
        headers={"cache-control": "no-store"},
        form=form,
        file=file,
        report=report,
        suggestion=suggestion,
        columns=[(column, chosen.get(column.head) if chosen else column.field) for column in columns],
        is_chosen=bool(chosen),
        types=[(name, visit.text(text)) for name, text in TYPES_OF_ROWS.items()],
        fields=[(name, name) for name in fields_of(type_)] if type_ is not None else [],
        labels=[(label, f"TLP:{label}") for label in TLPS],
        plurals=PLURALS,
    )


@page("/import/{id_:str}", act="page_import_do", right=WRITE, method="POST")
async def import_file(visit: Visit, id_: str) -> ASGIResponse:
    """Import the file, and show what became of each record; or look again with another label."""
    form = await visit.read_form()
    file = await uploaded_files.find(visit.node, id_, by=visit.caller)
    try:
        file = await _with_columns(visit, file, form)
        if form.value("do") != "import":
            return await _check(visit, file, form)
        report = await _import(visit, file, form, dry_run=False)
    except Refused as error:
        for text in _texts_of(visit, error):
            form.refuse("", text)
        return _page(visit, file, form, None, status=400)
    await uploaded_files.remove(visit.node, id_, by=visit.caller)
    return _page(visit, file, form, report)


HANDLERS = (choose_file, upload_file, check_file, import_file)
