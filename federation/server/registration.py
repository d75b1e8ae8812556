"""All handlers of the application, given to the framework in one step.

One by one, 727 handlers take a second at each start: the framework makes the route of a path again for each
further method, and checks all paths after each handler. This grows with the square of their number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from litestar import Router
from litestar.types import ControllerRouterHandler

from federation.domain.errors import CommandFailed


class AllHandlers(Router):
    """Hands its handlers on: they belong to the application, as if each had been given to it."""

    def __init__(self, handlers: Iterable[ControllerRouterHandler]) -> None:
        super().__init__(path="/", route_handlers=[])
        self._handlers = tuple(handlers)

    def __deepcopy__(self, memo: dict[int, Any]) -> AllHandlers:
        """Itself: the framework copies a router, with all its handlers, since it could be given twice."""
        return self

    @property
    def route_handler_method_map(self) -> dict[str, Any]:
        """By path and method. Raises CommandFailed when two handlers have the same."""
        found: dict[str, dict[str, Any]] = {}
        for handler in self._handlers:
            for path, methods in self.get_route_handler_map(handler).items():  # type: ignore[arg-type] # no class
                for method, copied in methods.items():
                    if found.setdefault(path, {}).setdefault(method, copied) is not copied:
                        raise CommandFailed(f"{method} {path} has two handlers")
                    copied.owner = self.owner
        return found
