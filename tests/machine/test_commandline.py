from ipaddress import IPv4Address
from pathlib import Path

import pytest

from toiplab.hardware import Forward, Hardware, InternalAdapter, NatAdapter
from toiplab.machine.accelerator import Accelerator
from toiplab.machine.commandline import Channels, CommandLine

LOOPBACK = IPv4Address("127.0.0.1")
FORWARDS = (
    Forward("ssh", "tcp", LOOPBACK, 2222, 22),
    Forward("sip", "udp", IPv4Address("0.0.0.0"), 5060, 5060),
)
HARDWARE = Hardware("isi", 1024, 2, (NatAdapter(FORWARDS), InternalAdapter("labo")))


def argv(hardware=HARDWARE, accelerator=Accelerator.TCG, **changed):
    channels = Channels(Path("/run/m/serial"), 7)
    paths = {"overlay": Path("/run/m/overlay.qcow2"), "serial_log": Path("/logs/serial.log")}
    paths.update(changed)
    return CommandLine(hardware, accelerator=accelerator, channels=channels, **paths).argv()


def values(words, option):
    return [words[index + 1] for index, word in enumerate(words) if word == option]


def test_the_whole_command_line():
    assert argv() == [
        "qemu-system-x86_64",
        *("-name", "guest=isi"),
        *("-no-user-config", "-nodefaults"),
        *("-display", "none"),
        *("-M", "pc"),
        *("-global", "PIIX4_PM.acpi-root-pci-hotplug=off"),
        *("-accel", "tcg,thread=multi,tb-size=512"),
        *("-cpu", "qemu64,+rdrand"),
        *("-m", "1024"),
        *("-smp", "2"),
        *("-rtc", "base=utc"),
        *("-device", "VGA,addr=0x2"),
        "-drive",
        "if=none,id=disk,file=/run/m/overlay.qcow2,format=qcow2,cache=unsafe,discard=unmap",
        *("-device", "ahci,id=sata,addr=0xd"),
        *("-device", "ide-hd,bus=sata.0,drive=disk,bootindex=1"),
        *("-device", "ide-cd,bus=ide.1,unit=0,bootindex=2"),
        *("-chardev", "socket,id=qmp,fd=7"),
        *("-mon", "chardev=qmp,mode=control"),
        *("-chardev", "pipe,id=serial,path=/run/m/serial,logfile=/logs/serial.log,logappend=on"),
        *("-serial", "chardev:serial"),
        "-netdev",
        "user,id=net1,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:0.0.0.0:5060-:5060",
        *("-device", "e1000,netdev=net1,mac=52:54:00:70:69:01,addr=0x3,romfile="),
        *("-netdev", "hubport,id=net2,hubid=325534556"),
        *("-device", "e1000,netdev=net2,mac=52:54:00:70:69:02,addr=0x8,romfile="),
    ]


def test_kvm_gives_the_guest_the_processor_of_the_host():
    words = argv(accelerator=Accelerator.KVM)
    assert values(words, "-accel") == ["kvm"]
    assert values(words, "-cpu") == ["host"]


def test_commas_are_doubled_where_qemu_would_split():
    words = argv(
        Hardware("salle=1, groupe 2", 512, 1, ()),
        overlay=Path("/srv/a,b/overlay.qcow2"),
        serial_log=Path("/logs/a,b.log"),
    )
    assert values(words, "-name") == ["guest=salle=1,, groupe 2"]
    assert "file=/srv/a,,b/overlay.qcow2," in values(words, "-drive")[0]
    assert "logfile=/logs/a,,b.log," in values(words, "-chardev")[1]


@pytest.mark.parametrize(("second", "met"), [("labo", True), ("autre", False)])
def test_adapters_of_one_internal_network_meet(second, met):
    adapters = (InternalAdapter("labo"), InternalAdapter(second))
    netdevs = values(argv(Hardware("x", 512, 1, adapters)), "-netdev")
    hubs = {netdev.partition("hubid=")[2] for netdev in netdevs}
    assert (len(hubs) == 1) is met


def test_a_lan_plugs_the_internal_adapters_in():
    class Tap:
        def netdev(self, ident, adapter):
            return f"tap,id={ident},ifname={adapter.network}"

    assert values(argv(lan=Tap()), "-netdev")[1] == "tap,id=net2,ifname=labo"


def test_adapters_sit_in_the_slots_of_virtualbox():
    adapters = (NatAdapter(), NatAdapter(), InternalAdapter("a"), InternalAdapter("b"))
    devices = values(argv(Hardware("x", 512, 1, adapters)), "-device")
    slots = [word for device in devices for word in device.split(",") if "e1000" in device]
    assert [slot for slot in slots if slot.startswith("addr=")] == [
        "addr=0x3",
        "addr=0x8",
        "addr=0x9",
        "addr=0xa",
    ]
