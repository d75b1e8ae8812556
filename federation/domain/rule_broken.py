"""The breach of a rule of the schema."""

from __future__ import annotations

from collections.abc import Mapping

from federation.domain.messages import Message


class RuleBroken(ValueError):
    """A rule of the schema that is not one of a single member.

    ``rule`` has the values it speaks of in braces, and the ``names`` of members that it speaks of.
    ``without_values`` is the same sentence without values: of a peer's record nothing is noted but what the
    schema says.
    """

    def __init__(
        self, rule: str, *, number: int, member: str = "", names: Mapping[str, str] = {}, **values: str
    ) -> None:
        self.message = Message(rule, {**names, **values})
        super().__init__(str(self.message))
        self.without_values = rule.format_map({**names, **dict.fromkeys(values, "…")})
        self.number = number
        """Its number among the rules that JSON Schema does not say (``domain/rules.py``)."""
        self.pointer = f"/{member}" if member else ""
        """The member to be corrected, from the group that the rule is about."""
