"""The communes and EPCI of the four regions that the demonstration plays in, from the register."""

from functools import cache
from types import MappingProxyType

from federation.domain.territories.bodies import Body, bodies

#: Territory (ISO 3166-2, as operators state theirs) → region (INSEE code).
REGIONS = MappingProxyType({"FR-BFC": "27", "FR-BRE": "53", "FR-CVL": "24", "FR-IDF": "11"})


@cache
def beneficiaries(region: str) -> tuple[Body, ...]:
    """The bodies of a region (INSEE code): communes by INSEE code, then EPCI by SIREN.

    Raises ValueError for a region that the demonstration does not play in.
    """
    if region not in REGIONS.values():
        raise ValueError(
            f"region {region} is not in the demonstration data: {', '.join(sorted(REGIONS.values()))} are"
        )
    return tuple(body for body in bodies() if body.region == region)


EXAMPLE = "89148"
"""INSEE code of the commune that the demonstration shows offers for: in Bourgogne, of 265 inhabitants."""


def example_commune() -> Body:
    """The commune that the demonstration shows offers for."""
    return next(body for body in beneficiaries(REGIONS["FR-BFC"]) if body.cog == EXAMPLE)
