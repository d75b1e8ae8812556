"""The story of the demonstration holds at every scale."""

from __future__ import annotations

import pytest

from federation.demo.data import NAMES, drafts


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("operator", NAMES)
def test_every_operator_is_affected_by_the_imported_vulnerability(operator: str, scale: int) -> None:
    deployments = [draft["content"] for plural, draft in drafts(operator, scale) if plural == "deployments"]
    assert len(deployments) == scale
    affected = [
        content
        for content in deployments
        if (content["solution"], content["status"]) == ("arnia/glpi", "production")
        and content["version"] in ("10.0.6", "10.0.15", "10.0.17")
    ]
    assert affected
    assert all(content["environment"] == "demonstration" for content in deployments)
