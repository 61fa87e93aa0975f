from __future__ import annotations

import importlib
import pkgutil

import toiplab.exam
from toiplab.exam.plan import FIRST_EXAM, WITH_PHONES
from toiplab.exam.registry import Check
from toiplab.exam.rows import ROWS, Part


def checks():
    """Every check of every module."""
    for module in pkgutil.iter_modules(toiplab.exam.__path__):
        found = importlib.import_module(f"toiplab.exam.{module.name}")
        yield from (thing for thing in vars(found).values() if isinstance(thing, Check))


def test_every_check_is_in_the_plan():
    assert {check.name for check in checks()} == {
        check.name for check in (*FIRST_EXAM, *WITH_PHONES)
    }


def test_every_check_proves_a_row_of_the_contract():
    assert {check.row for check in checks()} <= {row.name for row in ROWS}


def test_the_rows_have_names_of_their_own_in_the_order_of_the_parts():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert list(dict.fromkeys(row.part for row in ROWS)) == list(Part)
