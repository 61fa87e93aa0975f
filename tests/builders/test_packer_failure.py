"""What Packer, VirtualBox, QEMU and apt say when a build fails, and what that means."""

from __future__ import annotations

from pathlib import Path

import pytest

from toiplab.builders.packer import failure
from toiplab.errors import ToipLabError

LOG = Path("/build/isi/packer.log")


@pytest.mark.parametrize(
    ("said", "meaning", "mend"),
    [
        ("Error starting VM: VBoxManage error: VBoxManage: error: The virtual machine 'isi' has "
         "terminated unexpectedly during startup with exit code 1 (0x1)",
         "VirtualBox could not start the machine", "--builder qemu"),
        ("VBoxManage: error: Kernel driver not installed (rc=-1908)",
         "VirtualBox has no driver in this kernel", "modprobe vboxdrv"),
        ("VBoxManage: error: VT-x is not available (VERR_VMX_NO_VMX)",
         "the processor's virtualisation (VT-x, AMD-V) is missing", "BIOS"),
        ("VBoxManage: error: VT-x is disabled in the BIOS for all CPU modes "
         "(VERR_VMX_MSR_ALL_VMX_DISABLED)",
         "the processor's virtualisation (VT-x, AMD-V) is missing", "BIOS"),
        ("VBoxManage: error: AMD-V is disabled in the BIOS (VERR_SVM_DISABLED)",
         "the processor's virtualisation (VT-x, AMD-V) is missing", "BIOS"),
        ("VBoxManage: error: VirtualBox can't operate in VMX root mode. "
         "(VERR_VMX_IN_VMX_ROOT_MODE).",
         "another hypervisor holds the processor's virtualisation", "modprobe -r kvm_intel"),
        ("VBoxManage: error: Machine settings file '/root/VirtualBox VMs/isi/isi.vbox' already "
         "exists", "VirtualBox has the files of a machine of this name already", "another name"),
        ("-netdev user,id=net1: Could not set up host forwarding rule 'tcp:127.0.0.1:2222-:22'",
         "a port that the build wants is taken", "end it"),
        ("Could not access KVM kernel module: No such file or directory",
         "KVM cannot be used here", "--accel tcg"),
        ("error: failed to set MSR 0x10a to 0x69", "KVM cannot be used here", "--accel tcg"),
        ("E: You don't have enough free space: No space left on device",
         "the disk is full", "free some space"),
        ("Timeout waiting for SSH.", "the installed system was never heard of", "log"),
        ("E: Failed to fetch http://m/vim.deb  Could not connect to m:80 (10.0.0.1). - connect "
         "(111: Connection refused)",
         "the mirror was lost while the machine installed its packages", "--mirror"),
        ("E: Version '1:2' for 'vim' was not found",
         "the mirror changed while the machine was being built", "build again"),
    ],
)  # fmt: skip
def test_what_a_failure_means(said: str, meaning: str, mend: str) -> None:
    error = failure.of_packer([said], status=1, log=LOG, trouble=())

    assert error.message.startswith(meaning)
    assert said[:60] in error.message
    assert f"log: {LOG}" in error.message
    assert mend in error.hint
    assert error.status == 2


def test_what_kvm_alone_cannot_do_may_be_tried_in_software() -> None:
    def of(said: str) -> ToipLabError:
        return failure.of_packer([said], status=1, log=LOG, trouble=())

    assert isinstance(of("../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: …"), failure.KvmError)
    assert not isinstance(of("No space left on device"), failure.KvmError)


def test_an_unknown_failure_is_quoted_once_and_without_packers_summary() -> None:
    said = [
        "==> qemu.toip-lab: Error launching VM: nothing known",
        "Build 'qemu.toip-lab' errored after 198 milliseconds: Build was halted.",
        "\n==> Some builds didn't complete successfully and had errors:",
        "--> qemu.toip-lab: Build was halted.",
        "==> qemu.toip-lab: Error launching VM: nothing known",
    ]

    assert str(failure.of_packer(said, status=1, log=LOG, trouble=["anna: E: cut"])) == (
        "packer build failed with status 1\n"
        "  | Error launching VM: nothing known\n"
        "  | installer: anna: E: cut\n"
        f"  log: {LOG}"
    )


@pytest.mark.parametrize(
    ("question", "meaning"),
    [
        ("mirror/http/hostname", "the installer cannot use its mirror"),
        ("apt-setup/service-failed", "the installer cannot use its mirror"),
        ("netcfg/dhcp_failed", "the installer got no network"),
        ("partman-auto/no_recipe", "the installer cannot partition the disk"),
        ("preseed/command_failed", "the installer did not get its preseed"),
        ("base-installer/kernel/failed-install", "the installer cannot install the base system"),
        ("pkgsel/error", "the installer cannot install the packages"),
        ("grub-installer/mounterr", "the installer cannot put GRUB on the disk"),
        ("keyboard-configuration/xkb-keymap", "the preseed has no answer that it takes"),
    ],
)
def test_what_a_question_means(question: str, meaning: str) -> None:
    error = failure.of_question(question, trouble=(), log=LOG)

    assert error.message.startswith(f"Debian's installer asks {question}: {meaning}")
    assert error.hint


def test_what_qemu_said_is_in_packers_detailed_log(tmp_path: Path) -> None:
    log = tmp_path / "debug.log"
    log.write_text(
        "2026/11/25 packer-builder-qemu plugin: Qemu stderr: qemu-system-x86_64: warning: hub 7\n"
        "2026/11/25 packer-builder-qemu plugin: Qemu stderr: qemu-system-x86_64: -device: no\n"
    )

    assert failure.stderr_of_qemu(log) == ["-device: no"]
    assert failure.stderr_of_qemu(tmp_path / "none") == []
