"""The workflows of GitHub: pinned, with least permissions, and all they run, runs here too."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.collection import Collection

import tasks
from toiplab.host import PROJECT

FOLDER = PROJECT / ".github" / "workflows"
WORKFLOWS = {path.stem: path for path in sorted(FOLDER.glob("*.yml"))}
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\n")
ELSEWHERE = "gh release create "  # the one command that only makes sense there
Step = dict[str, Any]


def steps() -> Iterator[Any]:
    for stem, path in WORKFLOWS.items():
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for step in job["steps"]:
                yield pytest.param(step, id=f"{stem}-{name}-{step['name']}")


def jobs() -> Iterator[Any]:
    for stem, path in WORKFLOWS.items():
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield pytest.param(job, id=f"{stem}-{name}")


def test_there_are_these() -> None:
    assert list(WORKFLOWS) == ["ci", "release"]


def accepted(words: list[str]) -> bool:
    """Whether the Invoke tasks have such a command, with these options."""
    contexts = {each.name: each for each in Collection.from_module(tasks).to_contexts()}
    command, *options = words
    flags = contexts[command].flags
    return all(option.split("=")[0] in flags for option in options)


@pytest.mark.parametrize("step", [s for s in steps() if "run" in s.values[0]])
def test_every_command_is_a_target_of_make(step: Step) -> None:
    command = step["run"]
    assert "${{" not in command  # what a tag is called must not become part of a script
    if command.startswith(ELSEWHERE):
        return
    sudo, make, target, *variables = shlex.split(command)
    assert (sudo, make) == ("sudo", "make")

    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, *variables],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )

    for line in done.stdout.splitlines():
        words = shlex.split(line)
        if words[0] == ".venv/bin/invoke":
            assert accepted(words[1:])
            assert len(words) == 2 + len(variables)  # each variable reached it
        else:
            assert (PROJECT / words[0]).exists() or words[0] == ".venv/bin/pytest"


def test_what_the_import_is_called_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    found = re.search(r"pytest (\S+) --needed -k (\w+)", makefile)
    assert found
    assert f"def {found[2]}(" in (PROJECT / found[1]).read_text()


@pytest.mark.parametrize("path", WORKFLOWS.values(), ids=WORKFLOWS)
def test_every_action_is_pinned_by_its_commit(path: Path) -> None:
    lines = [line.strip(" -") for line in path.open() if "uses:" in line]

    assert lines
    assert [line for line in lines if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS.values(), ids=WORKFLOWS)
def test_nothing_is_allowed_but_by_a_job(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}


@pytest.mark.parametrize("job", list(jobs()))
def test_a_job_ends_and_one_that_may_write_runs_nothing_of_ours(job: dict[str, Any]) -> None:
    assert job["timeout-minutes"] <= 120
    if "write" in job["permissions"].values():
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert [command for command in commands if not command.startswith(ELSEWHERE)] == []
