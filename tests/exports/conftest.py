"""Callers of arnia's application, as the tests of the API have them."""

from tests.api.conftest import anyone, app, own, peer, unattached

__all__ = ["anyone", "app", "own", "peer", "unattached"]
