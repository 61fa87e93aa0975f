"""Reading a lab file: from YAML to a checked ``Lab``, or one clear line per mistake.

Every scalar is read as the text that was typed (YAML's own guessing would turn the
answer ``no`` into false and the number ``0701`` into an octal), and the model decides
what it means. The place of every value is kept, so that a message can name its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from toiplab.errors import ToipLabError
from toiplab.lab import numbering
from toiplab.lab.model import Lab

Place = tuple[str | int, ...]


@dataclass
class _Document:
    """What a YAML file says, and on which line (from 1) each place stands."""

    path: Path
    lines: dict[Place, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def fault(self, place: Place, message: str) -> None:
        self.faults.append(f"{self.path}:{self.line(place)}: {message}")

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest place around it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def build(self, node: yaml.Node, place: Place = ()) -> object:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return node.value
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*place, n)) for n, item in enumerate(node.value)]
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            inner = (*place, key)
            if key in found:
                self.lines[inner] = key_node.start_mark.line + 1
                self.fault(inner, f"{dotted(inner)} is given twice: keep one of them")
                continue
            self.lines[inner] = key_node.start_mark.line + 1
            found[key] = self.build(value_node, inner)
        return found


def dotted(place: Sequence[str | int]) -> str:
    """A place as a person writes it: ``contexts.dakar.extensions[0].number``."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def load(path: Path) -> Lab:
    """Read and check a lab file.

    Raises:
        ToipLabError: the file is absent, is no YAML, or says something impossible; one
            line per mistake, each with file, line, place and what would be right.
    """
    document = _Document(path)
    data = document.build(_compose(path))
    lab: Lab | None = None
    if not document.faults:
        try:
            lab = Lab.model_validate(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                place, message = _explain(detail["loc"], detail["type"], detail["msg"], data)
                document.fault(place, message)
        else:
            for place, message in numbering.conflicts(lab):
                document.fault(place, f"{dotted(place)}: {message}")
    if document.faults or lab is None:
        raise ToipLabError("\n".join(document.faults))
    return lab


def _compose(path: Path) -> yaml.Node:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ToipLabError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        there = sorted(
            str(other) for other in path.parent.glob("*.yml") if ".secrets" not in other.name
        )
        hint = f"lab files there: {', '.join(there)}" if there else "labs/isi.yml is the default"
        raise ToipLabError(f"{path}: {error.strerror}", hint=hint) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ToipLabError(f"{path}:{line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ToipLabError(f"{path}: not YAML: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ToipLabError(f"{path}:1: a lab file is a list of keys such as 'name: isi'")
    return node


def _explain(place: Place, kind: str, message: str, data: object) -> tuple[Place, str]:
    """One mistake in words: the place it belongs to, and the line to print."""
    message = message.removeprefix("Value error, ")
    # pydantic names a mapping's bad key by a last step "[key]"
    place = tuple(step for step in place if step != "[key]")
    if kind == "extra_forbidden":
        known = _known_keys(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        mend = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return place, f"{dotted(place)}: unknown key; {mend}"
    if kind == "missing":
        return place, f"{dotted(place)} is missing"
    inner, _, rest = message.partition(": ")
    if kind == "value_error" and rest and (*place, *_steps(inner)) != place:
        deeper = (*place, *_steps(inner))
        if _has(data, deeper):
            return deeper, f"{dotted(deeper)}: {rest}"
    text = message[:1].lower() + message[1:]
    given = _get(data, place)
    if isinstance(given, str) and repr(given) not in text:
        text = f"{given!r}: {text}"
    return place, f"{dotted(place)}: {text}" if place else text


def _steps(dotted_place: str) -> Place:
    steps: list[str | int] = []
    for part in dotted_place.split("."):
        name, _, index = part.partition("[")
        steps.append(name)
        if index.rstrip("]").isdecimal():
            steps.append(int(index.rstrip("]")))
    return tuple(steps)


def _get(data: object, place: Place) -> object:
    for step in place:
        try:
            data = data[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _has(data: object, place: Place) -> bool:
    return _get(data, place) is not None


def _known_keys(place: Place) -> list[str]:
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
    arguments = getattr(annotation, "__args__", ())
    models = [a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel)]
    return models[0] if models else None
