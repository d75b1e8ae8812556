"""Links of OpenAPI: with which parameters one goes on from an answer to another operation."""

from __future__ import annotations

from typing import Any

from federation.domain.record_content import Content

FROM_PATH = {"origin": "$request.path.origin", "key": "$request.path.key"}
FROM_BODY = {"origin": "$response.body#/origin", "key": "$response.body#/key"}
_FIRST_OF_PAGE = {"origin": "$response.body#/items/0/origin", "key": "$response.body#/items/0/key"}


def links(parameters: dict[str, str], **operations: str) -> dict[str, Any]:
    """A link for each name to the operation with this id."""
    return {name: {"operationId": id_, "parameters": parameters} for name, id_ in operations.items()}


def record_links(kind: type[Content], parameters: dict[str, str]) -> dict[str, Any]:
    """The links from the answer to a write of a record: read, revise, retract and list it."""
    name = kind.__name__
    more = {
        "incident": {"exposure": "getIncidentExposure", "append": "appendIncidentUpdate"},
        "deployment": {"setVersion": "setDeploymentVersion"},
        "solution": {"exposure": "getSolutionExposure"},
    }
    return {
        **links(
            parameters,
            get=f"get{name}",
            patch=f"patch{name}",
            retract=f"retract{name}",
            **more.get(kind.type, {}),
        ),
        "list": {
            "operationId": f"list{kind.plural.capitalize()}",
            "parameters": {"origin": parameters["origin"]},
        },
    }


def page_links(kind: type[Content]) -> dict[str, Any]:
    """The link from a page to its first record."""
    return links(_FIRST_OF_PAGE, first=f"get{kind.__name__}")
