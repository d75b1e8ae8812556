"""A text as an ODT document (OpenDocument), to be edited in a text program: a paragraph for each line."""

from __future__ import annotations

import io
from datetime import datetime

from federation.domain.formats.typed_cells import without_unprintable

MEDIA_TYPE = "application/vnd.oasis.opendocument.text"


def odt_bytes(text: str, title: str, language: str, made_at: datetime) -> bytes:
    """The document. ``language``: a tag such as ``fr-FR``, by which its spelling is checked."""
    from odfdo import Document, Paragraph  # here: most processes never write a document

    document = Document("text")
    document.body.clear()
    for line in without_unprintable(text).split("\n"):
        document.body.append(Paragraph(line))
    document.set_language(language)
    meta = document.meta
    meta.title = without_unprintable(title)
    meta.language = language
    meta.creation_date = meta.date = made_at
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()
