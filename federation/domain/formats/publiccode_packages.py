"""Package URLs of the addresses of packages in registries (https://github.com/package-url/purl-spec)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from federation.domain.formats.foreign_values import MAX_URL
from federation.domain.formats.names import read_purl

_FORMS = {
    "npm": ("npm", re.compile(r"/package/((?:@[^/]+/)?[^/]+)")),
    "pypi": ("pypi", re.compile(r"/(?:project|simple)/([^/]+)")),
    "rubygems": ("gem", re.compile(r"/gems/([^/]+)")),
    "cargo": ("cargo", re.compile(r"/crates/([^/]+)")),
    "packagist": ("composer", re.compile(r"/packages/([^/]+/[^/]+)")),
    "nuget": ("nuget", re.compile(r"/packages/([^/]+)")),
    "conda": ("conda", re.compile(r"/[^/]+/([^/]+)")),
    "go": ("golang", re.compile(r"/(.+)")),
    "maven": ("maven", re.compile(r"/maven2/(.+)/([^/]+)")),
    "docker": ("docker", re.compile(r"/r/([^/]+/[^/]+)")),
}
"""By the name of the registry: the type of the package URL, and the path of a package's page."""


def package_purl(registry: Any, url: Any) -> str | None:
    """The package URL of a page of a registry; None for a page that is of no package."""
    form = _FORMS.get(registry.strip().lower()) if isinstance(registry, str) else None
    if form is None or not isinstance(url, str) or len(url) > MAX_URL:
        return None
    try:
        path = unquote(urlsplit(url).path).rstrip("/")
    except ValueError:
        return None
    match = form[1].fullmatch(path)
    if match is None:
        return None
    groups = match.groups()
    if form[0] == "maven":
        groups = (groups[0].replace("/", "."), groups[1])
    name = "/".join(quote(part, safe="") for group in groups for part in group.split("/"))
    purl = f"pkg:{form[0]}/{name}"
    return purl if len(purl) <= 500 and read_purl(purl) is not None else None
