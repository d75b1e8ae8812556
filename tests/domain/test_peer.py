"""How patient we are with a peer."""

import random
from datetime import timedelta

import pytest

from federation.domain.peer import FIRST_WAIT, MAX_WAIT_SECONDS, back_off


class Longest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


class Shortest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return a


def seconds(wait: timedelta) -> float:
    return wait.total_seconds()


@pytest.mark.parametrize(
    ("failures", "longest"),
    [(1, 1), (2, 2), (3, 4), (4, 8), (8, 128), (9, 256), (10, 300), (11, 300), (100, 300), (1_000_000, 300)],
)
def test_the_wait_doubles_from_one_second_to_five_minutes(failures: int, longest: float) -> None:
    assert seconds(back_off(failures, chance=Longest())) == longest
    assert seconds(back_off(failures, chance=Shortest())) == 0.5
    assert (FIRST_WAIT, MAX_WAIT_SECONDS) == (1.0, 300.0)


def test_peers_that_failed_together_do_not_return_together() -> None:
    chance = random.Random(1)
    waits = [seconds(back_off(10, chance=chance)) for _ in range(200)]
    assert all(0.5 <= wait <= 300 for wait in waits)
    assert len(set(waits)) == 200
    assert min(waits) < 60
    assert max(waits) > 240


@pytest.mark.parametrize("failures", [1, 2, 5, 10, 50])
@pytest.mark.parametrize("asked", [1.0, 17.0, 300.0])
def test_the_wait_is_never_shorter_than_the_peer_asked_for(failures: int, asked: float) -> None:
    assert seconds(back_off(failures, asked=asked, chance=Shortest())) == max(asked, 0.5)
    assert seconds(back_off(failures, asked=asked, chance=Longest())) >= asked


@pytest.mark.parametrize("asked", [301.0, 86_400.0, 1e300, float("inf")])
def test_a_peer_cannot_ask_for_more_than_five_minutes(asked: float) -> None:
    assert seconds(back_off(1, asked=asked, chance=Shortest())) == 300


@pytest.mark.parametrize("asked", [None, 0.0, -1.0, float("-inf"), float("nan")])
def test_what_is_no_wait_changes_nothing(asked: float | None) -> None:
    assert seconds(back_off(3, asked=asked, chance=Longest())) == 4
    assert seconds(back_off(3, asked=asked, chance=Shortest())) == 0.5


def test_without_a_given_chance_the_wait_keeps_its_bounds() -> None:
    assert all(0.5 <= seconds(back_off(5)) <= 16 for _ in range(200))
