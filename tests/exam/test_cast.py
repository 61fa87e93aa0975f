"""Which phones play in which check."""

from __future__ import annotations

import pytest

from toiplab.exam.cast import Cast


@pytest.fixture
def cast(lab):
    """Of four phones in each of two contexts."""
    return Cast(lab)


def numbers(players):
    return [player.number for player in players]


def test_the_last_context_is_asked_first(cast):
    assert numbers(cast.take((2,))) == ["5001", "5002"]


def test_nobody_plays_in_two_checks(cast):
    taken = [cast.take((2,)) for _ in range(5)]

    assert [numbers(players) for players in taken[:4]] == [
        ["5001", "5002"],
        ["5003", "5004"],
        ["2001", "2002"],
        ["2003", "2004"],
    ]
    assert taken[4] is None


def test_the_parts_of_a_party_are_of_different_contexts(cast):
    assert numbers(cast.take((1, 1))) == ["5001", "2001"]
    assert numbers(cast.take((2, 1))) == ["5002", "5003", "2002"]


def test_the_greatest_part_finds_room_whatever_the_order(cast):
    cast.take((2,))

    assert numbers(cast.take((1, 3))) == ["5003", "2001", "2002", "2003"]


def test_a_party_is_taken_whole_or_not_at_all(cast):
    cast.take((3,))

    assert cast.take((2, 2)) is None
    assert numbers(cast.take((4,))) == ["2001", "2002", "2003", "2004"]


def test_who_was_given_back_plays_again(cast):
    players = cast.take((4,))
    cast.give_back(players)

    assert cast.take((4,)) == players


@pytest.mark.parametrize(
    ("ways", "possible"),
    [
        (((3,), (2, 2)), (3,)),
        (((5,), (2, 2)), (2, 2)),
        (((1, 1, 1),), None),
        (((5,),), None),
        ((), None),
    ],
)
def test_the_first_party_that_the_lab_has_phones_for(cast, ways, possible):
    assert cast.possible(ways) == possible


def test_who_plays_now_is_no_matter_of_what_is_possible(cast):
    cast.take((4,))
    cast.take((4,))

    assert cast.possible(((4,),)) == (4,)
