"""How ``invoke smoke`` ends when it is broken off, and that nothing of it stays.

It runs in a checkout of its own: the report of an exam that somebody held in this one stays.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from toiplab.host import PROJECT

pytestmark = pytest.mark.boot

INVOKE = Path(sys.executable).with_name("invoke")
BOOT_SECONDS, END_SECONDS = 400, 20


@pytest.fixture
def checkout(tmp_path):
    top = tmp_path / "checkout"
    shutil.copytree(PROJECT / "toiplab", top / "toiplab")
    shutil.copytree(PROJECT / "labs", top / "labs")
    shutil.copy(PROJECT / "tasks.py", top)
    return top


class Smoke:
    """A running ``invoke smoke``; all that it starts has its mark in its environment."""

    def __init__(self, checkout, *words):
        self.mark = f"exam-{uuid.uuid4()}"
        self.said = ""
        self.process = subprocess.Popen(
            [INVOKE, "smoke", *words],
            cwd=checkout,
            env={**os.environ, "NO_COLOR": "1", "TOIP_LAB_TEST": self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def wait_for(self, text):
        deadline = time.monotonic() + BOOT_SECONDS
        while text not in self.said:
            ready, _, _ = select.select([self.process.stdout], [], [], deadline - time.monotonic())
            new = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert new, f"{text!r} was not said: {self.said}"
            self.said += new.decode(errors="replace")

    def running(self):
        """The programs it has started, by their names."""
        mark = f"TOIP_LAB_TEST={self.mark}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    found.append((process / "comm").read_text().strip())
            except OSError:
                continue  # it has ended, or is none of ours
        return found

    def wait_until_gone(self):
        deadline = time.monotonic() + END_SECONDS
        while left := self.running():
            assert time.monotonic() < deadline, left
            select.select([], [], [], 0.1)


def test_broken_off_during_a_call(ova, checkout):
    with Smoke(checkout, "--ova", str(ova), "--only", "A6") as smoke:
        smoke.wait_for("Exam: with phones")
        wait_for_a_phone(smoke)
        smoke.process.send_signal(signal.SIGINT)
        said, _ = smoke.process.communicate(timeout=END_SECONDS)

    assert smoke.process.returncode == 130, said
    assert said.decode().endswith("interrupted\n")
    smoke.wait_until_gone()


def wait_for_a_phone(smoke):
    deadline = time.monotonic() + END_SECONDS
    while "baresip" not in smoke.running():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.1)


def test_killed_while_it_boots(ova, checkout):
    with Smoke(checkout, "--ova", str(ova), "--only", "A6") as smoke:
        smoke.wait_for("Boot")
        deadline = time.monotonic() + END_SECONDS
        while not any(name.startswith("qemu") for name in smoke.running()):
            assert time.monotonic() < deadline
            select.select([], [], [], 0.1)
        smoke.process.kill()
        smoke.process.wait()

        smoke.wait_until_gone()


def taken(port):
    """Hold a port; a machine that was killed may take a moment to let go of it."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            assert time.monotonic() < deadline
            select.select([], [], [], 0.1)


def test_a_port_that_is_taken_is_named_with_who_holds_it(ova, checkout):
    with taken(2222), Smoke(checkout, "--ova", str(ova), "--quick") as smoke:
        said, _ = smoke.process.communicate(timeout=60)

    assert smoke.process.returncode == 2
    assert "127.0.0.1:2222" in said.decode()
    assert "Traceback" not in said.decode()
