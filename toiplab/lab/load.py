"""Reading a lab file: from YAML to a checked ``Lab``, or one clear line per mistake.

Every scalar is read as the text that was typed (YAML's own guessing would turn the
answer ``no`` into false and the number ``0701`` into an octal), and the model decides
what it means. The place of every value is kept, so that a message can name its line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import ValidationError

from toiplab.errors import ToipLabError
from toiplab.lab import numbering
from toiplab.lab.explain import dotted, explain
from toiplab.lab.model import Lab
from toiplab.lab.numbering import Place


@dataclass
class _Document:
    """What a YAML file says, and on which line (from 1) each place stands."""

    path: Path
    lines: dict[Place, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    built: set[int] = field(default_factory=set)

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
        if id(node) in self.built:  # an alias: it might hold itself, or grow without end
            self.fault(place, f"{dotted(place)}: an alias (*) is not read here: write it out")
            return None
        self.built.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*place, n)) for n, item in enumerate(node.value)]
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.lines[(*place, "?")] = key_node.start_mark.line + 1
                self.fault((*place, "?"), "a key is one word, not a list or keys")
                continue
            key = str(key_node.value)
            inner = (*place, key)
            if key in found:
                self.lines[inner] = key_node.start_mark.line + 1
                self.fault(inner, f"{dotted(inner)} is given twice: keep one of them")
                continue
            self.lines[inner] = key_node.start_mark.line + 1
            found[key] = self.build(value_node, inner)
        return found


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
            for fault in explain(error, data):
                document.fault(fault.place, fault.message)
        else:
            for place, message in numbering.conflicts(lab):
                document.fault(place, f"{dotted(place)}: {message}")
    if document.faults or lab is None:
        raise ToipLabError("\n".join(document.faults))
    return lab


def _compose(path: Path) -> yaml.Node:
    try:
        text = path.read_text(encoding="utf-8-sig")
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
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ToipLabError(
            f"{path}:{line}: not YAML: the character #x{error.character:02x} is not allowed"
        ) from error
    except RecursionError as error:
        raise ToipLabError(f"{path}: not a lab file: nested too deeply") from error
    if not isinstance(node, yaml.MappingNode):
        raise ToipLabError(f"{path}:1: a lab file is a list of keys such as 'name: isi'")
    return node
