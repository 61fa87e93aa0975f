"""What the model refuses, in a teacher's words: the place in the lab file and the mend.

pydantic tells mistakes in its own terms (tuple, dictionary, instance); here each kind of
them gets the one sentence that a person who edits a lab file needs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from toiplab.lab.model import Lab
from toiplab.lab.numbering import Place

# By pydantic's error type; {given} is what was typed, the rest its error's own context.
SENTENCES = {
    "int_parsing": "{given!r} is not a whole number",
    "int_from_float": "{given!r} is not a whole number",
    "int_parsing_size": "{given!r} is too large",
    "int_type": "a whole number is wanted here",
    "greater_than_equal": "{given} is too small: {ge} at least",
    "less_than_equal": "{given} is too large: {le} at most",
    "bool_parsing": "{given!r} is not true or false",
    "bool_type": "true or false is wanted here",
    "literal_error": "{given!r} is not known: {expected}",
    "ip_v4_address": "{given!r} is not an address such as 192.168.10.1",
    "ip_v4_interface": "{given!r} is not an address with its prefix, such as 192.168.10.1/24",
    "ip_v4_network": "{given!r} is not a network such as 192.168.100.16/28",
    "tuple_type": "a list is wanted here, such as [a, b] or lines that begin with -",
    "dict_type": "names with their own keys are wanted here, such as dakar:",
    "model_type": "keys of its own are wanted here: {keys}",
    "string_type": "one text is wanted here, not a list or keys",
    "too_short": "one at least is wanted here",
}
EMPTY = "nothing is given: give a value (one with # or * between quotes), or leave the key out"


@dataclass(frozen=True)
class Fault:
    """One mistake: the place it belongs to, and the line to print about it."""

    place: Place
    message: str


def dotted(place: Sequence[str | int]) -> str:
    """A place as a person writes it: ``contexts.dakar.extensions[0].number``."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def explain(error: ValidationError, data: object) -> Iterator[Fault]:
    """Each mistake of a lab file once, in the model's order; ``data`` is what the file says.

    What only follows from another mistake is left out: a key that is missing because it
    was misspelt, a list that is too short because its items are wrong.
    """
    details = error.errors(include_url=False)
    places = [_place(detail) for detail in details]
    misspelt = {
        (*place[:-1], _nearest(place))
        for place, detail in zip(places, details, strict=True)
        if detail["type"] == "extra_forbidden"
    }
    for place, detail in zip(places, details, strict=True):
        if detail["type"] == "missing" and place in misspelt:
            continue
        if detail["type"] == "too_short" and _has_inner(place, places):
            continue
        yield _explain(place, detail, data)


def _has_inner(place: Place, places: Sequence[Place]) -> bool:
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)


def _place(detail: ErrorDetails) -> Place:
    # pydantic names a mapping's bad key by a last step "[key]"
    place = detail["loc"]
    return place[:-1] if place[-1:] == ("[key]",) else place


def _explain(place: Place, detail: ErrorDetails, data: object) -> Fault:
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    given = _get(data, place)
    match kind:
        case "extra_forbidden":
            near = _nearest(place)
            mend = f"did you mean {near}?" if near else f"known here: {_keys(place[:-1])}"
            return Fault(place, f"{dotted(place)}: unknown key; {mend}")
        case "missing":
            return Fault(place, f"{dotted(place)} is missing")
        case "value_error" if (deeper := _deeper(place, message)) and _get(data, deeper):
            return Fault(deeper, f"{dotted(deeper)}: {message.partition(': ')[2]}")
    if given == "":
        message = EMPTY
    elif kind in SENTENCES:
        known = {**detail.get("ctx", {}), "given": given, "keys": _keys(place)}
        message = SENTENCES[kind].format_map(known)
    return Fault(place, f"{dotted(place)}: {message}")


def _deeper(place: Place, message: str) -> Place:
    """The place that a part's own check names: ``router: …`` is about the part's router."""
    name, colon, _ = message.partition(": ")
    if not colon or not re.fullmatch(r"\w+(\[\d+\])?(\.\w+)*", name):
        return ()
    steps = re.findall(r"\w+", name)
    return (*place, *(int(step) if step.isdecimal() else step for step in steps))


def _get(data: object, place: Place) -> object:
    """What the file says at a place; None where it says nothing."""
    for step in place:
        match data, step:
            case Mapping(), str():
                data = data.get(step)
            case list(), int() if step < len(data):
                data = data[step]
            case _:
                return None
    return data


def _nearest(place: Place) -> str:
    """The key that was meant by the unknown one at the end of a place; empty when none is near."""
    near = difflib.get_close_matches(str(place[-1]), _fields(place[:-1]), n=1)
    return near[0] if near else ""


def _keys(place: Place) -> str:
    return ", ".join(_fields(place))


def _fields(place: Place) -> list[str]:
    """The keys the model knows at a place, found by walking its annotations."""
    model: object = Lab
    for step in place:
        model = _inside(model, step)
    fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
    return list(fields)


def _inside(annotation: object, step: str | int) -> object:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found = annotation.model_fields.get(str(step))
        return found.annotation if found else None
    # a list or a mapping of parts: the part is among its arguments
    arguments = getattr(annotation, "__args__", ())
    models = [a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel)]
    return models[0] if models else None
