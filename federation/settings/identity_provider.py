"""The identity provider that settings name."""

from __future__ import annotations

from urllib.parse import urlsplit

from federation.domain.errors import CommandFailed
from federation.settings.files import read_password
from federation.settings.settings import Settings
from federation.settings.urls import HOST, is_loopback


def check_identity_provider(settings: Settings) -> None:
    """Raises CommandFailed that names the variable at fault, for half of an identity provider too."""
    issuer = settings.oidc_issuer
    if issuer is None:
        for name in ("oidc_client_id", "oidc_secret_file", "oidc_name", "oidc_rules"):
            if getattr(settings, name):
                raise CommandFailed(f"FEDERATION_{name.upper()} is set, and FEDERATION_OIDC_ISSUER is not")
        return
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    plain = parts.scheme == "http" and is_loopback(host)
    if (
        not (parts.scheme == "https" or plain)
        or not HOST.fullmatch(host)
        or parts.query
        or parts.fragment
        or "@" in issuer
    ):
        raise CommandFailed(
            f"FEDERATION_OIDC_ISSUER is {issuer.rpartition('@')[2]!r}; it must be the https URL of its"
            " issuer, as its discovery document names it"
        )
    if settings.oidc_client_id is None or settings.oidc_secret_file is None:
        raise CommandFailed(
            "FEDERATION_OIDC_ISSUER needs FEDERATION_OIDC_CLIENT_ID and FEDERATION_OIDC_SECRET_FILE beside it"
        )
    if "openid" not in settings.oidc_scopes.split(" "):
        raise CommandFailed("FEDERATION_OIDC_SCOPES must have openid among its scopes")
    read_password(settings.oidc_secret_file, variable="FEDERATION_OIDC_SECRET_FILE")
