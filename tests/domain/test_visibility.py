"""Who may see a record."""

import pytest

from federation.domain.errors import Invalid
from federation.domain.visibility import (
    MAX_CEILING_GROUPS,
    TLPS,
    Caller,
    Ceiling,
    anonymous,
    audience_of,
    itself,
    may_see,
)


@pytest.mark.parametrize(
    ("tlp", "group", "audience"),
    [
        ("CLEAR", None, "public"),
        ("GREEN", None, "federation"),
        ("AMBER", "rssi", "rssi"),
        ("AMBER+STRICT", "rssi", "rssi"),
        ("RED", None, "private"),
    ],
)
def test_a_label_says_the_audience(tlp: str, group: str | None, audience: str) -> None:
    assert audience_of(tlp, group) == audience


@pytest.mark.parametrize(
    ("tlp", "group"),
    [
        ("CLEAR", "rssi"),
        ("GREEN", "rssi"),
        ("RED", "rssi"),
        ("CLEAR", "public"),
        ("GREEN", "federation"),
        ("RED", "private"),
    ]
    + [
        (tlp, group)
        for tlp in ("AMBER", "AMBER+STRICT")
        for group in (None, "public", "federation", "private")
    ],
)
def test_a_label_and_a_group_that_do_not_go_together_are_refused(tlp: str, group: str | None) -> None:
    with pytest.raises(Invalid) as refusal:
        audience_of(tlp, group)
    assert refusal.value.pointer == "/audience"


def test_the_labels_are_those_of_tlp_2_0() -> None:
    assert TLPS == ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")


CALLERS = {
    "anonymous": anonymous("arnia"),
    "own": itself("arnia"),
    "member": Caller(node="arnia", operator="megalis", groups=frozenset({"rssi"})),
    "other": Caller(node="arnia", operator="recia"),
    "excluded": Caller(
        node="arnia",
        operator="recia",
        groups=frozenset({"rssi"}),
        excluded_by=frozenset({"megalis", "maximilien"}),
    ),
    "green": Caller(node="arnia", operator="arnia", person="p", ceiling=Ceiling()),
    "amber": Caller(
        node="arnia",
        operator="arnia",
        person="p",
        ceiling=Ceiling("AMBER", frozenset({"arnia/rssi", "megalis/buyers"})),
        # What a peer may see by its groups is nothing to a person.
        groups=frozenset({"buyers"}),
    ),
    "red": Caller(node="arnia", operator="arnia", person="p", ceiling=Ceiling("RED")),
}
# The node asked is arnia's. "rssi" is a group of arnia that megalis is a member of, "buyers" one that no
# caller is in; records of megalis that arnia holds have audiences that mean something at megalis only.
# Megalis excludes one caller. The last three are people of arnia, called by their ceilings; the one of
# amber names arnia's rssi and megalis' buyers.
MATRIX = """
    origin   audience     anonymous  own  member  other  excluded  green  amber  red
    arnia    public       yes        yes  yes     yes    yes       yes    yes    yes
    arnia    federation   no         yes  yes     yes    yes       yes    yes    yes
    arnia    rssi         no         yes  yes     no     yes       no     yes    yes
    arnia    buyers       no         yes  no      no     no        no     no     yes
    arnia    private      no         yes  no      no     no        no     no     yes
    megalis  public       yes        yes  yes     yes    yes       yes    yes    yes
    megalis  federation   no         yes  yes     yes    no        yes    yes    yes
    megalis  rssi         no         yes  no      no     no        no     no     yes
    megalis  buyers       no         yes  no      no     no        no     yes    yes
    megalis  private      no         yes  no      no     no        no     no     yes
"""
HEAD, *ROWS = [line.split() for line in MATRIX.strip().splitlines()]


@pytest.mark.parametrize(
    ("origin", "audience", "caller", "sees"),
    [
        (row[0], row[1], name, answer == "yes")
        for row in ROWS
        for name, answer in zip(HEAD[2:], row[2:], strict=True)
    ],
)
def test_who_sees_what(origin: str, audience: str, caller: str, sees: bool) -> None:
    assert may_see(origin, audience, CALLERS[caller]) is sees


def test_nobody_becomes_one_of_our_own_by_their_scopes_or_groups() -> None:
    every = frozenset({"public", "federation", "private", "rssi"})
    stranger = Caller(node="arnia", scopes=frozenset({"node.admin"}), groups=every)
    assert not stranger.own
    assert not any(may_see("arnia", audience, stranger) for audience in ("federation", "rssi", "private"))
    peer = Caller(node="arnia", operator="megalis", scopes=frozenset({"node.admin"}))
    assert not peer.own
    assert not may_see("arnia", "private", peer)


def test_an_exclusion_hides_nothing_from_the_operator_of_the_node() -> None:
    own = Caller(node="arnia", operator="arnia", excluded_by=frozenset({"arnia", "megalis"}))
    assert may_see("megalis", "federation", own)
    assert may_see("arnia", "federation", own)


def test_an_own_client_is_own_at_its_own_node_only() -> None:
    assert Caller(node="arnia", operator="arnia", client="gru").own
    assert not Caller(node="megalis", operator="arnia", client="gru").own


@pytest.mark.parametrize(
    ("label", "groups"),
    [
        ("AMBER", []),
        ("GREEN", ["arnia/rssi"]),
        ("RED", ["arnia/rssi"]),
        ("AMBER", ["rssi"]),
        ("AMBER", ["arnia/"]),
        ("AMBER", ["/rssi"]),
        ("AMBER", ["arnia/rssi/x"]),
        ("AMBER", ["arnia/private"]),
        ("AMBER", ["arnia/public"]),
        ("AMBER", ["arnia/federation"]),
        ("AMBER", ["arnia/rssi", "arnia/pri\nvate"]),
        ("AMBER", [f"arnia/g{number}" for number in range(MAX_CEILING_GROUPS + 1)]),
    ],
)
def test_a_ceiling_names_groups_of_operators_and_amber_alone_does(label: str, groups: list[str]) -> None:
    with pytest.raises(Invalid) as refusal:
        Ceiling(label, frozenset(groups))  # type: ignore[arg-type]
    assert refusal.value.pointer == "/groups"
    assert Ceiling("AMBER", frozenset(f"arnia/g{number}" for number in range(MAX_CEILING_GROUPS)))
