"""Which checks an exam holds."""

from __future__ import annotations

import pytest

from toiplab.errors import ToipLabError
from toiplab.exam.plan import FIRST_EXAM, WITH_PHONES, Plan
from toiplab.exam.rows import ROWS


def test_some_rows_alone():
    plan = Plan().only(["A5", "A6"])

    assert {check.row for check in (*plan.first, *plan.with_phones)} == {"A5", "A6"}
    assert plan.first
    assert plan.with_phones
    assert not plan.after_reboot


def test_without_phones():
    assert Plan().quick() == Plan(FIRST_EXAM, (), FIRST_EXAM)


def test_no_row_named_is_every_row():
    assert Plan().only([]) == Plan()


def test_an_unknown_row_is_refused():
    with pytest.raises(ToipLabError, match=r"--only A11: no such row\n  rows: A1 A10 .* whole"):
        Plan().only(["A5", "A11"])


def test_every_check_has_a_name_of_its_own():
    names = [check.name for check in (*FIRST_EXAM, *WITH_PHONES)]

    assert len(set(names)) == len(names)


def test_those_that_run_alone_come_first():
    alone = [check.alone for check in WITH_PHONES]

    assert alone == sorted(alone, reverse=True)


def test_every_row_of_the_contract_that_a_machine_can_show_has_a_check():
    by_the_build = {"I1"}  # the installer's questions: nobody asks them of a machine that runs
    assert {row.name for row in ROWS} - by_the_build == {
        check.row for check in (*FIRST_EXAM, *WITH_PHONES)
    }
