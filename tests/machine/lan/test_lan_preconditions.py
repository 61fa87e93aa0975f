"""What is missing for a lab network is told at once, with what can be run without it."""

import os
from pathlib import Path

import pytest

from toiplab.errors import ToipLabError
from toiplab.machine.lan import preconditions
from toiplab.machine.lan.network import LabNetwork

HINT = "\n  what needs no phones on the lab network can be run: invoke smoke --nat-only"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a program of that name first on PATH."""

    def make(name, text):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return make


def refusal():
    with pytest.raises(ToipLabError) as caught:
        LabNetwork.open()
    return str(caught.value)


def test_programs_are_missing(monkeypatch):
    monkeypatch.setattr("toiplab.host.which", lambda program: None)
    assert refusal() == (
        "there can be no lab network here:\n"
        "  - missing on this machine: ip, unshare, nsenter, setpriv, busybox; install with:"
        " apt-get install busybox iproute2 util-linux   (or run: make setup)" + HINT
    )


def test_all_that_is_missing_is_told_together(possible, fake, monkeypatch):
    monkeypatch.setattr(preconditions, "TUN", Path("/dev/no-tun"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    fake("unshare", "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1")
    assert refusal() == (
        "there can be no lab network here:\n"
        "  - /dev/no-tun is absent, which the machine is plugged in with; as root: modprobe tun\n"
        "  - no network namespace: unshare --user --map-root-user --net says 'unshare: unshare"
        " failed: Operation not permitted'; run as root, or let users have user namespaces"
        " (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1,"
        " kernel.apparmor_restrict_unprivileged_userns=0)" + HINT
    )


def test_root_of_a_container_without_rights(possible, fake, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    fake("unshare", "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1")
    assert refusal() == (
        "there can be no lab network here:\n"
        "  - no network namespace: unshare --net says 'unshare: unshare failed: Operation not"
        " permitted'; a container may have to be started with more rights (CAP_SYS_ADMIN)" + HINT
    )


def test_a_kernel_without_bridges(possible, fake, monkeypatch):
    fake("ip", "read -r line; echo Error: Unknown device type.; exit 1")
    assert refusal() == (
        "there can be no lab network here:\n"
        "  - no bridge interfaces (ip: Error: Unknown device type.); as root: modprobe bridge\n"
        "  - no veth interfaces (ip: Error: Unknown device type.); as root: modprobe veth" + HINT
    )


def test_a_tap_that_may_not_be_opened(possible, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", refuse)
    assert list(preconditions._missing_tun()) == [
        "/dev/net/tun may not be opened by this user; run as root, or let users open it"
        " (as root): chmod 0666 /dev/net/tun"
    ]
