#!/usr/bin/env python3
"""A stand-in for VBoxManage where VirtualBox can start no machine.

Every command goes to the real one, whose path is in STANDIN_REAL. Only the processor is
replaced: startvm runs QEMU on the machine as VirtualBox describes it, and what concerns a
running machine is said to QEMU over its monitor (QMP). It is a fixture of the tests: it
stands alone, and starts quickly, for it is called for every few keys that Packer types.

QEMU would write a VDI, but give nothing of it back that the guest discards, as VirtualBox
does: the machine writes to a layer above, which becomes the VDI when the machine is off.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

REAL = os.environ["STANDIN_REAL"]
STATE = Path(os.environ["STANDIN_STATE"])
DISK = "SATA Controller-0-0"
VALUE = re.compile(r'^"?([^"=\n]+)"?="?(.*?)"?$', re.MULTILINE)
CARDS = {"82540EM": "e1000"}
CONTROLLERS = {"SATA Controller": "IntelAhci", "IDE Controller": "PIIX4"}
SLOTS = {"1": 3, "2": 8, "3": 9, "4": 10}
RELEASE, EXTENDED = 0x80, 0xE0
# VirtualBox, VDICore.h: by these VirtualBox knows a VDI again (creation, modification)
VDI_UUIDS = slice(0x188, 0x1A8)


def main(arguments: list[str]) -> int:
    """Do a command, and return its exit status."""
    for layer in STATE.glob("*.qcow2"):
        if not is_running(layer.stem):
            fold(layer)
    match arguments:
        case ["startvm", name, *_]:
            return start(name)
        case ["controlvm", name, "keyboardputscancode", *codes] if is_running(name):
            return press(name, [int(code, 16) for code in codes])
        case ["controlvm", name, "poweroff"] if is_running(name):
            return ask(name, "quit")
        case ["controlvm", name, "acpipowerbutton"] if is_running(name):
            return ask(name, "system_powerdown")
        case ["showvminfo", name, *_]:
            done = subprocess.run([REAL, *arguments], stdout=subprocess.PIPE, check=False)
            state = b'VMState="running"' if is_running(name) else b'VMState="poweroff"'
            sys.stdout.buffer.write(re.sub(rb'VMState="\w+"', state, done.stdout))
            return done.returncode
        case ["unregistervm", name, *_] if is_running(name):
            ask(name, "quit")
    return subprocess.run([REAL, *arguments], check=False).returncode


def start(name: str) -> int:
    """Run QEMU on a machine, in the background."""
    told = subprocess.run(
        [REAL, "showvminfo", name, "--machinereadable"], stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    STATE.mkdir(parents=True, exist_ok=True)
    machine = dict(VALUE.findall(told))
    subprocess.run(
        [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "vdi",
            "-b",
            machine[DISK],
            STATE / f"{name}.qcow2",
        ],
        check=True,
    )
    log = (STATE / f"{name}.log").open("ab")
    return subprocess.run(command(name, machine), stderr=log, check=False).returncode


def command(name: str, machine: dict[str, str]) -> list[str]:
    """QEMU's command line for what showvminfo tells: disk, drive, cards, forwards."""
    for number in ("0", "1"):
        name_of, kind = (machine[f"storagecontroller{word}{number}"] for word in ("name", "type"))
        assert CONTROLLERS[name_of] == kind, f"{name_of}: no QEMU for {kind}"
    disk, iso = STATE / f"{name}.qcow2", machine["IDE Controller-0-1"]
    order = {machine["boot1"]: 1, machine["boot2"]: 2}
    words = [
        *("qemu-system-x86_64", "-name", name, "-daemonize", "-no-user-config", "-nodefaults"),
        *("-pidfile", str(STATE / f"{name}.pid")),
        *("-qmp", f"unix:{STATE / name}.qmp,server=on,wait=off"),
        *("-serial", f"file:{STATE / name}.console"),
        *("-M", "pc", "-global", "PIIX4_PM.acpi-root-pci-hotplug=off", "-display", "none"),
        *("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "qemu64,+rdrand"),
        *("-m", machine["memory"], "-smp", machine["cpus"], "-device", "VGA,addr=2"),
        *("-rtc", "base=utc" if machine["rtcuseutc"] == "on" else "base=localtime"),
        *("-drive", f"if=none,id=disk,file={disk},cache=unsafe,discard=unmap"),
        *("-device", "ahci,id=sata,addr=13"),
        *("-device", f"ide-hd,bus=sata.0,drive=disk,bootindex={order['disk']}"),
        *("-drive", f"if=none,id=iso,file={iso},format=raw,media=cdrom,readonly=on"),
        *("-device", f"ide-cd,bus=ide.0,unit=1,drive=iso,bootindex={order['dvd']}"),
    ]
    for number, slot in SLOTS.items():
        kind = machine.get(f"nic{number}", "none")
        if kind == "none":
            continue
        netdev = f"hubport,id=net{number},hubid={number}"
        if kind == "nat":
            rules = [text for key, text in machine.items() if key.startswith("Forwarding(")]
            netdev = ",".join([f"user,id=net{number},ipv6=off", *map(forward, rules)])
        mac = ":".join(re.findall("..", machine[f"macaddress{number}"]))
        words += ["-netdev", netdev]
        card = CARDS[machine[f"nictype{number}"]]
        words += ["-device", f"{card},netdev=net{number},mac={mac},addr={slot},romfile="]
    return words


def fold(layer: Path) -> None:
    """Make the layer of a machine that is off, and its VDI, one VDI, known as before."""
    told = subprocess.run(
        ["qemu-img", "info", "--output=json", layer], stdout=subprocess.PIPE, check=True
    ).stdout
    disk = Path(json.loads(told)["backing-filename"])
    made = disk.with_name(f"{disk.name}.part")
    if disk.exists():  # else the machine was removed
        subprocess.run(["qemu-img", "convert", "-O", "vdi", layer, made], check=True)
        with disk.open("rb") as old, made.open("r+b") as new:
            old.seek(VDI_UUIDS.start)
            new.seek(VDI_UUIDS.start)
            new.write(old.read(VDI_UUIDS.stop - VDI_UUIDS.start))
        made.replace(disk)
    layer.unlink()


def forward(rule: str) -> str:
    """A rule of VirtualBox's NAT as QEMU's."""
    _, protocol, host, host_port, guest, guest_port = rule.split(",")
    return f"hostfwd={protocol}:{host}:{host_port}-{guest}:{guest_port}"


def is_running(name: str) -> bool:
    """Whether QEMU runs that machine."""
    try:
        pid = int((STATE / f"{name}.pid").read_text())
        return b"qemu" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def press(name: str, codes: list[int]) -> int:
    """Send XT scan codes: QEMU's numbers are the same, an extended one with its top bit set."""
    extended = 0
    for code in codes:
        if code == EXTENDED:
            extended = RELEASE
            continue
        key = {"type": "number", "data": code & ~RELEASE | extended}
        event = {"type": "key", "data": {"down": not code & RELEASE, "key": key}}
        ask(name, "input-send-event", {"events": [event]})
        extended = 0
    return 0


def ask(name: str, order: str, arguments: dict[str, object] | None = None) -> int:
    """Give an order over QMP; 0 when QEMU has taken it."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(f"{STATE / name}.qmp")
        lines = monitor.makefile("rw", encoding="utf-8")
        lines.readline()  # the greeting
        for asked in (
            {"execute": "qmp_capabilities"},
            {"execute": order, "arguments": arguments or {}},
        ):
            lines.write(json.dumps(asked) + "\n")
            lines.flush()
            while True:
                answer = json.loads(lines.readline() or '{"error": "gone"}')
                if "event" not in answer:
                    break
    return 0 if "return" in answer else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
