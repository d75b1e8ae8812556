"""Organisations, by their numbers in registers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from stdnum.be import vat as belgian
from stdnum.fr import siret

from federation.domain.part import Part
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import END, Line

_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")


def _luhn(digits: str) -> bool:
    """Return True if the check digit is right (ISO/IEC 7812-1, annex B); faster than ``stdnum.luhn``.

    Each copy of a feed names as many bodies as there are, nearly every one for the first time.
    """
    backwards = digits.encode()[::-1]
    zeros = ord("0") * len(digits)
    return (sum(backwards[::2]) + sum(backwards[1::2].translate(_DOUBLED)) - zeros) % 10 == 0


def _is_valid_identifier(scheme: str, value: str) -> bool:
    # (Nothing is remembered: a memory of so many would be slower than to look again.)
    match scheme:
        case "0002":
            return len(value) == 9 and _is_number(value) and _luhn(value)
        case "cog":
            return len(value) == 5 and (
                _is_number(value) or re.fullmatch(r"2[AB][0-9]{3}", value) is not None
            )
        case "0009":
            return len(value) == 14 and bool(siret.is_valid(value))
        case "0208":
            return len(value) == 10 and bool(belgian.is_valid(value))
    return True


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()


class Identifier(Part, frozen=True, kw_only=True):
    """The number of an organisation in a register; never a name alone.

    ``scheme`` is an ISO 6523 code (0002 SIREN, 0009 SIRET, 0208 Belgian enterprise number...) or
    ``cog``, the INSEE code of a French commune. Check digits of the schemes known here are verified.
    """

    scheme: Annotated[str, Meta(pattern=r"^([0-9]{4}|cog)" + END, examples=["0002", "cog"])]
    value: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}" + END, examples=["217100767"])]

    def __post_init__(self) -> None:
        if not _is_valid_identifier(self.scheme, self.value):
            for broken in self._check_digits():
                raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._check_digits(),)

    def _check_digits(self) -> Iterator[RuleBroken]:
        if not _is_valid_identifier(self.scheme, self.value):
            rule = "{value} is not a valid identifier of scheme {scheme}"
            yield RuleBroken(rule, number=3, member="value", value=self.value, scheme=self.scheme)


class Organisation(Part, frozen=True, kw_only=True):
    """A body named by its register identifiers, with the name people know it by."""

    identifiers: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=8)]
    name: Line | None = None
    type: (
        Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}" + END, examples=["commune", "epci"])] | None
    ) = None
