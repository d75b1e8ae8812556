"""Who sees and does what, told by hand from ``domain.md`` and ``security.md``: nothing of the node is asked.

TLP:CLEAR is public, without a token; GREEN is for every active peer that the record's origin does not
exclude; AMBER and AMBER+STRICT for the members of the named group, at the node of the record's origin; RED
never leaves the node. A group's name means something at its origin only, so what another operator told us
under AMBER is shown to nobody but our own systems, not even to a member of a group of ours with that name,
nor to who wrote it. Groups are RED.
Only the origin writes, and only its own clients with the scope of the type do it for it.
"""

from __future__ import annotations

import os
from typing import Literal

HERE, THERE = "arnia", "megalis"
"""The operator whose node is asked, and a peer whose records it holds copies of."""

EVERY_TYPE = (
    "solution", "deployment", "incident", "statement", "operator", "group", "membership", "offer", "practice",
    "meeting", "contribution", "purchase", "consultation", "participation",
)  # fmt: skip
TYPES = EVERY_TYPE if os.environ.get("MATRIX") == "all" else ("deployment", "incident", "group")
"""All types run through one code: ``make test`` asks for three, ``make matrix`` for every one."""
TLPS = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")

OWN = "own client with every scope"
POOR = "own client without the scope"
REVOKED = "own client that was revoked"
ORIGIN = "peer in the group, origin of the copies"
MEMBER = "peer in the group"
GREEDY = "peer in the group whose token claims every scope"
NEIGHBOUR = "peer in another group"
OUTSIDER = "peer in no group"
EXCLUDED = "peer in no group that the origin of the copies excludes"
PENDING = "pending peer named by the group"
SUSPENDED = "suspended peer named by the group"
LEFT = "peer that has left, named by the group"
FORGOTTEN = "peer that was removed, named by the group"
STRANGER = "operator nobody knows, with a token of its own make"
ANYONE = "somebody without a token"

PEERS = (ORIGIN, MEMBER, GREEDY, NEIGHBOUR, OUTSIDER, EXCLUDED)
NOT_EXCLUDED = (ORIGIN, MEMBER, GREEDY, NEIGHBOUR, OUTSIDER)
TURNED_AWAY = (REVOKED, PENDING, SUSPENDED, LEFT, FORGOTTEN, STRANGER)
"""Who shows a token that does not hold: refused whatever is asked, also what is public without one."""
CALLERS = (OWN, POOR, *PEERS, *TURNED_AWAY, ANYONE)

_MEMBERS = (OWN, ORIGIN, MEMBER, GREEDY)
SEE: dict[tuple[str, str], tuple[str, ...]] = {
    (HERE, "CLEAR"): (OWN, *PEERS, ANYONE),
    (HERE, "GREEN"): (OWN, *PEERS),
    (HERE, "AMBER"): _MEMBERS,
    (HERE, "AMBER+STRICT"): _MEMBERS,
    (HERE, "RED"): (OWN,),
    (THERE, "CLEAR"): (OWN, *PEERS, ANYONE),
    (THERE, "GREEN"): (OWN, *NOT_EXCLUDED),
    (THERE, "AMBER"): (OWN,),
    (THERE, "AMBER+STRICT"): (OWN,),
    (THERE, "RED"): (OWN,),
}
"""Who may know of a record, by its origin and label."""

FEEDS: dict[str, tuple[str, ...]] = {
    "public": (OWN, *PEERS, ANYONE),
    "federation": (OWN, *PEERS),
    "close": _MEMBERS,
    "other": (OWN, NEIGHBOUR),
}
"""Who may read each feed of this node's; there is no feed of what is RED."""

RELAYED: dict[str, tuple[str, ...]] = {
    "public": (OWN, *PEERS, ANYONE),
    "federation": (OWN, *NOT_EXCLUDED),
    "close": (OWN,),
}
"""Who may read, at this node, the copies of another operator's feeds. (Its groups: nobody but ourselves.)"""

FEED_OF = {"CLEAR": "public", "GREEN": "federation", "AMBER": "close", "AMBER+STRICT": "close"}

Asked = Literal["reads", "writes", "feeds", "arrivals"]


def refused(caller: str, asked: Asked, type_name: str) -> int | None:
    """With which status a caller is refused before anything is looked up; None when it is let in."""
    if caller in TURNED_AWAY:
        return 401
    match caller, asked:
        case "own client with every scope", _:
            return None
        case "own client without the scope", _:
            return 403
        case "somebody without a token", "reads" | "feeds":
            return None
        case "somebody without a token", _:
            return 401
        case _, "writes" | "arrivals":
            return 403  # a peer reads records and feeds
        case _, "reads" if type_name == "group":
            return 403  # who else is in an audience is not told to its members
    return None


def sees(caller: str, type_name: str, origin: str, tlp: str) -> bool:
    """Whether a caller that is let in may know that such a record exists."""
    if type_name == "group":
        return caller == OWN
    return caller in SEE[origin, tlp]
