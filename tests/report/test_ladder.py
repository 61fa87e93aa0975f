from __future__ import annotations

import pytest

from toiplab.report import ladder
from toiplab.report.traffic import SERVER, Arrow, Kind


def message(at, source, target, label="INVITE", times=1):
    return Arrow(at, source, target, Kind.REQUEST, label, at, times)


def sound(at, source, target, until):
    return Arrow(at, source, target, Kind.SOUND, "sound", until, 50)


def key(at, source, label):
    return Arrow(at, source, SERVER, Kind.KEY, label, at)


def test_the_server_stands_between_the_phones_and_who_is_silent_does_not():
    drawn = ladder.draw(
        [message(1, "5001", SERVER), message(2, SERVER, "5003")], 0, ["5001", "5002", "5003"]
    )
    assert [line.name for line in drawn.lifelines] == ["5001", SERVER, "5003"]
    left, server, right = (line.x for line in drawn.lifelines)
    assert left < server < right < drawn.width
    assert [(rung.start, rung.end, rung.time) for rung in drawn.rungs] == [
        (left, server, 1),
        (server, right, 2),
    ]
    assert drawn.rungs[0].y < drawn.rungs[1].y < drawn.height


def test_nothing_to_draw():
    assert ladder.draw([], 0, ["5001"]) is None
    assert ladder.draw([message(1, "2001", SERVER)], 0, ["5001"]) is None


def test_a_time_without_anything_new_has_room():
    drawn = ladder.draw([message(at, "5001", SERVER) for at in (0, 1, 21)], 0, ["5001"])
    [pause] = drawn.pauses
    assert pause.seconds == 20
    assert drawn.rungs[1].y < pause.y < drawn.rungs[2].y


def test_a_sound_has_a_bar_as_long_as_it_lasts():
    arrows = [
        sound(1, "5001", SERVER, 3.5),
        message(2, "5001", SERVER),
        message(3, "5001", SERVER),
        message(4, "5001", SERVER),
        sound(5, SERVER, "5001", 9),
    ]
    drawn = ladder.draw(arrows, 0, ["5001"])
    spoken, heard = drawn.bars
    assert spoken.top == drawn.rungs[0].y
    assert drawn.rungs[2].y < spoken.top + spoken.height < drawn.rungs[3].y
    assert heard.top + heard.height <= drawn.height
    assert spoken.x < drawn.lifelines[0].x < heard.x


def test_keys_pressed_together_share_a_row():
    arrows = [key(1, "5001", "7"), key(1.5, "5001", "0"), key(9, "5001", "1"), key(9, "5002", "2")]
    drawn = ladder.draw(arrows, 0, ["5001", "5002"])
    assert [rung.keys for rung in drawn.rungs] == [("7", "0"), ("1",), ("2",)]


@pytest.mark.parametrize(
    ("label", "times", "shown"),
    [
        ("INVITE", 1, "INVITE"),
        ("INVITE", 3, "INVITE \N{MULTIPLICATION SIGN}3"),
        ("400 Bad Subscription-State Header", 1, "400 Bad Subscription-State Head…"),
        (
            "400 Bad Subscription-State Header",
            12,
            "400 Bad Subscription-State… \N{MULTIPLICATION SIGN}12",
        ),
    ],
)
def test_a_label_that_is_too_long_is_cut(label, times, shown):
    [rung] = ladder.draw([message(1, "5001", SERVER, label, times)], 0, ["5001"]).rungs
    assert rung.label == shown
    assert rung.arrow.label == label


def test_a_class_does_not_fit_and_the_picture_says_so():
    numbers = [str(number) for number in range(2001, 2031)]
    drawn = ladder.draw([message(1, number, SERVER) for number in numbers], 0, numbers)
    assert len(drawn.lifelines) == ladder.MOST_PHONES + 1
    assert drawn.left_out == 30 - ladder.MOST_PHONES
    many = ladder.draw([message(at, "2001", SERVER) for at in range(500)], 0, numbers)
    assert (len(many.rungs), many.left_out) == (ladder.MOST_ROWS, 500 - ladder.MOST_ROWS)
