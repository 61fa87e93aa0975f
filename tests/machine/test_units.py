import pytest

from toiplab.machine.units import Unit, UnitState

ACTIVE, COMING, LOST = UnitState.ACTIVE, UnitState.COMING, UnitState.LOST


@pytest.mark.parametrize(
    ("shown", "state", "told"),
    [
        ("loaded active running success", ACTIVE, "is active (running)"),
        ("loaded active running success 12", COMING, "is active (running)"),
        ("loaded activating start success 12", COMING, "is activating (start)"),
        ("loaded inactive dead success 12", COMING, "is inactive (dead)"),
        ("loaded inactive dead success", LOST, "is inactive, and nothing is going to start it"),
        ("loaded failed failed exit-code", LOST, "has failed (result exit-code)"),
        ("not-found inactive dead success", LOST, "is not-found"),
        (
            "loaded activating auto-restart exit-code",
            COMING,
            "is activating (auto-restart, result exit-code)",
        ),
    ],
)
def test_what_waiting_can_hope_for(shown, state, told):
    names = ("LoadState", "ActiveState", "SubState", "Result", "Job")
    lines = (f"{name}={value}" for name, value in zip(names, shown.split(), strict=False))
    unit = Unit.read("x.service", "\n".join(lines))
    assert unit.state is state
    assert str(unit) == f"x.service {told}"


def test_the_query_asks_for_what_is_read():
    assert Unit.query("a b.service") == (
        "systemctl show --property=LoadState,ActiveState,SubState,Result,Job -- 'a b.service'"
    )
