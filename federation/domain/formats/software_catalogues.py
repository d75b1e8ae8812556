"""Catalogues of software in any form that is read here: the form is known by the file itself."""

from __future__ import annotations

from federation.domain.errors import Invalid
from federation.domain.formats.comptoir import read_comptoir
from federation.domain.formats.open_catalog import CatalogPage, read_open_catalog
from federation.domain.formats.sill import read_sill

MAX_HEAD_BYTES = 4_096
"""Bytes at the beginning of a file, and at its end, in which its form shows."""


def read_catalogue(raw: bytes) -> CatalogPage:
    """The solutions of the SILL, of the Comptoir du Libre, or of a page of an open-catalog-api.

    Raises Invalid for a file of another kind.
    """
    start = raw.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        return CatalogPage(read_sill(raw), None)
    ends = raw[:MAX_HEAD_BYTES] + raw[-MAX_HEAD_BYTES:]
    if start.startswith(b"{") and b'"softwares"' in ends:
        return CatalogPage(read_comptoir(raw), None)
    if start.startswith(b"{") and b'"data"' in ends:
        return read_open_catalog(raw)
    raise Invalid("it is neither the SILL, nor an export of the Comptoir du Libre, nor an open-catalog-api")
