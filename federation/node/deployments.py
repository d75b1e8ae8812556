"""Deployments: note the version that runs."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from federation.domain.content.deployment import Deployment, NewVersion
from federation.domain.errors import Retracted
from federation.domain.values import as_instant, instant
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.edits import WriteResult, WriteStep
from federation.node.node import Node
from federation.node.records import NO_PRECONDITIONS, Preconditions

RENEW_AFTER = timedelta(days=1)
"""Time after which an unchanged version is noted again, with its new instant."""


async def set_version(
    node: Node,
    version: NewVersion,
    origin: str,
    key: str,
    *,
    by: Caller,
    preconditions: Preconditions = NO_PRECONDITIONS,
    dry_run: bool = False,
    step: WriteStep | None = None,
) -> WriteResult:
    """Note the version that a deployment of the node's operator runs, as a probe or a CI job found it.

    An unchanged version makes a new revision once a day at most: it is then known to be recent.
    """
    records.check_origin(node, origin, key)
    stored = await records.find(node, Deployment, origin, key, by=by)
    if stored.retracted:
        raise Retracted("deployment {origin}/{key} has been retracted", origin=origin, key=key)
    content = msgspec.json.decode(stored.document)["content"]
    state = version.version_state or ("exact" if version.version else "unknown")
    now = node.clock()
    patch = {"version": version.version, "version_state": state}
    if version.attestation:
        patch["attestation"] = version.attestation
    unchanged = all(content.get(name) == value for name, value in patch.items())
    noted = content.get("version_as_of")
    recent = version.as_of is None and noted is not None and now - instant(noted) < RENEW_AFTER
    if not (unchanged and recent):
        patch["version_as_of"] = version.as_of or as_instant(now)
    return await records.patch(
        node,
        Deployment,
        {"content": patch},
        origin,
        key,
        by=by,
        preconditions=preconditions,
        dry_run=dry_run,
        step=step,
    )
