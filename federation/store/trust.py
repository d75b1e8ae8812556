"""The counter by which every process learns within a second that clients, keys, tokens or peers changed."""

from __future__ import annotations

from sqlalchemy import update

from federation.store.statements import Statement
from federation.store.tables import node

COUNT_TRUST_CHANGE = Statement(update(node).values(trust=node.c.trust + 1))
