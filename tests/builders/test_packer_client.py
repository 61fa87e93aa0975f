"""The real Packer through python-packer: its lines as they come, its status, its end."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from toiplab import host
from toiplab.builders.packer.client import Line, Packer
from toiplab.builders.packer.installer import Receiver

pytestmark = pytest.mark.skipif(not host.which("packer"), reason="packer is not on this machine")

TEMPLATE = """\
source "null" "here" {{
  communicator = "none"
}}
build {{
  sources = ["source.null.here"]
  provisioner "shell-local" {{
    inline = ["{command}"]
  }}
}}
"""
SOURCE = "null.here"
STOPPED_SECONDS = 40


class Watching:
    """Keeps what it is told; on a given line it interrupts, as Ctrl-C does."""

    def __init__(self, interrupt_at: str = "never") -> None:
        self.lines: list[Line] = []
        self.messages: list[bytes] = []
        self.interrupt_at = interrupt_at

    def line(self, line: Line) -> None:
        self.lines.append(line)

    def message(self, message: bytes) -> None:
        self.messages.append(message)

    def tick(self) -> None:
        if any(self.interrupt_at in line.text for line in self.lines):
            raise KeyboardInterrupt


@pytest.fixture
def build(tmp_path: Path):
    """Runs a build that runs one command here; returns its status."""

    def built(command: str, watching: Watching, receiver: Receiver) -> int:
        template, variables = tmp_path / "null.pkr.hcl", tmp_path / "variables.json"
        template.write_text(TEMPLATE.format(command=command), encoding="utf-8")
        variables.write_text("{}", encoding="utf-8")
        return Packer.find().build(
            template, SOURCE, variables, log=tmp_path / "packer.log",
            env={"TOIP_LAB_TEST": "given"}, receiver=receiver, watcher=watching,
        )  # fmt: skip

    return built


def test_a_build_that_ends_well(build, tmp_path: Path) -> None:
    watching = Watching()
    with Receiver() as receiver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<14>from the installer", ("127.0.0.1", receiver.port))
        status = build("echo one, two; echo $TOIP_LAB_TEST", watching, receiver)

    texts = [line.text for line in watching.lines if line.kind == "ui"]
    assert status == 0
    assert texts[texts.index("one, two") + 1] == "given"
    assert watching.messages == [b"<14>from the installer"]
    assert "one%!(PACKER_COMMA) two" in (tmp_path / "packer.log").read_text(encoding="utf-8")


def test_a_build_that_fails(build) -> None:
    watching = Watching()
    with Receiver() as receiver:
        assert build("echo broken; exit 3", watching, receiver) == 1

    assert any(line.is_error and "non-zero exit" in line.text for line in watching.lines)


def test_an_interruption_ends_packer_first(build, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    started = time.monotonic()

    with Receiver() as receiver, pytest.raises(KeyboardInterrupt):
        build(f"echo $$ >{pid_file}; echo ready; exec sleep 60", Watching("ready"), receiver)

    assert time.monotonic() - started < STOPPED_SECONDS
    process = Path("/proc", pid_file.read_text().strip())
    while process.exists():  # until whoever has inherited it has taken note of its end
        assert time.monotonic() - started < STOPPED_SECONDS
