"""Who may see a record."""

import pytest

from federation.domain.errors import Invalid
from federation.domain.visibility import TLPS, Caller, anonymous, audience_of, itself, may_see


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
}
# The node asked is arnia's. "rssi" is a group of arnia that megalis is a member of, "buyers" one that no
# caller is in; records of megalis that arnia holds have audiences that mean something at megalis only.
# Megalis excludes the last caller.
MATRIX = """
    origin   audience     anonymous  own  member  other  excluded
    arnia    public       yes        yes  yes     yes    yes
    arnia    federation   no         yes  yes     yes    yes
    arnia    rssi         no         yes  yes     no     yes
    arnia    buyers       no         yes  no      no     no
    arnia    private      no         yes  no      no     no
    megalis  public       yes        yes  yes     yes    yes
    megalis  federation   no         yes  yes     yes    no
    megalis  rssi         no         yes  no      no     no
    megalis  buyers       no         yes  no      no     no
    megalis  private      no         yes  no      no     no
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
