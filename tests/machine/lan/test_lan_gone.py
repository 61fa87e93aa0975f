"""However a program with a lab network ends, nothing of the network is left; as any user."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from toiplab.host import PROJECT
from toiplab.machine.waiting import Deadline

STORY = Path(__file__).with_name("lan_story.py")
# env(1) looks for the program with no more rights than nobody's; setpriv still has root's.
AS_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--", "env")
# A device node that any user may open, as udev makes it, in a mount namespace of its own.
WITH_TUN = """
folder=$(mktemp -d) && mknod -m 0666 "$folder/tun" c 10 200 &&
mount --bind "$folder/tun" /dev/net/tun && exec "$@"
"""


class Story:
    """A running ``lan_story.py``: what it told, and what there is of it in /proc."""

    def __init__(self, *argv):
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
        )
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(self.process.communicate(timeout=10)[1])
        self.told = json.loads(line)

    def left(self):
        """Processes that are still in one of its namespaces."""
        return [
            process.parent.parent.name
            for process in Path("/proc").glob("[0-9]*/ns/net")
            if self._namespace_of(process) in self.told["namespaces"]
        ]

    @staticmethod
    def _namespace_of(link):
        try:
            return link.readlink().name
        except OSError:  # it has just ended
            return None

    def wait_until_gone(self):
        deadline = Deadline.within(10)
        while left := self.left():
            assert not deadline.passed, f"still there: {left}"
            os.sched_yield()

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def tell(possible):
    stories = []

    def start(*argv):
        stories.append(Story(*argv))
        return stories[-1]

    yield start
    for story in stories:
        story.close()


@pytest.fixture
def story(tell):
    return tell(sys.executable, STORY, "--tap")


def names_of_namespaces():
    """Named namespaces are mounts, mountinfo: proc(5)."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return [mount for mount in mounts if " - nsfs " in mount]


def test_a_story_to_its_end(story):
    assert story.told["pong"] is True
    assert story.told["heard"] == "salut"
    assert len(set(story.told["namespaces"])) == 2
    assert len(story.left()) == 2
    story.process.communicate("", timeout=10)
    assert story.process.returncode == 0
    assert story.left() == []


def test_killed(story):
    before = names_of_namespaces()
    story.process.kill()
    story.wait_until_gone()
    assert names_of_namespaces() == before


def test_interrupted_by_ctrl_c(story):
    os.killpg(story.process.pid, signal.SIGINT)
    assert story.process.wait(10) != 0
    assert "KeyboardInterrupt" in story.process.stderr.read()
    assert story.left() == []


def python_of_nobody():
    """A Python that any user may run: root's own may be hidden in root's home."""
    new_enough = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        trial = [*AS_NOBODY, python, "-c", new_enough]
        if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            return python
    return pytest.skip("no Python of 3.11 or newer that an ordinary user may run")


@pytest.fixture
def story_of_nobody(possible, tell):
    if os.geteuid() != 0:
        pytest.skip("all the other tests run as an ordinary user already")
    python = python_of_nobody()
    trial = [*AS_NOBODY, "unshare", "--user", "--map-root-user", "--net", "true"]
    refused = subprocess.run(trial, capture_output=True, text=True, check=False)
    if refused.returncode != 0:
        pytest.skip(f"no user namespaces for an ordinary user: {refused.stderr.strip()}")
    words = [*AS_NOBODY, python, str(STORY), "--tap"]
    return tell("unshare", "--mount", "sh", "-c", WITH_TUN, "sh", *words)


def test_an_ordinary_user_has_a_lab_network_too(story_of_nobody):
    assert story_of_nobody.told["pong"] is True
    assert story_of_nobody.told["heard"] == "salut"
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in story_of_nobody.told["processes"]}
    assert owners == {65534}
    story_of_nobody.process.kill()
    story_of_nobody.wait_until_gone()
