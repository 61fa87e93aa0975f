"""Why a build by Packer failed, in words, with what would mend it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from toiplab.errors import ToipLabError

SHOWN_LINES = 6
# What Packer says once more at its end
SUMMARY = re.compile(r"^(?:==> Some builds|--> |Build '|Build was halted)")
QEMU_SAID = re.compile(r"Qemu stderr: (?!\S+: warning)(?:\S+: )?(.+)$", re.MULTILINE)

# Of QEMU, on its own and in target/i386/kvm/kvm.c
KVM_COMPLAINT = r"Could not access KVM|failed to initialize kvm|failed to set MSR|/kvm\.c:\d+"

NO_DRIVER = (
    "VirtualBox has no driver in this kernel, so it can start no machine",
    "as root: modprobe vboxdrv, or /sbin/vboxconfig (Debian: install virtualbox-dkms and the "
    "kernel's headers); or build without VirtualBox: --builder qemu",
)


class KvmError(ToipLabError):
    """KVM cannot run this machine here; in software it may yet run."""


# What Packer, VirtualBox and QEMU say, what that means, and what would mend it; the first
# that matches counts. VirtualBox's codes: include/iprt/err.h and include/VBox/err.h.
COMPLAINTS = (
    (
        r"VERR_VM_DRIVER_NOT_INSTALLED|VERR_VM_DRIVER_LOAD_ERROR|vboxdrv|/sbin/vboxconfig|"
        r"Kernel driver not installed",
        *NO_DRIVER,
    ),
    (
        r"VERR_(?:VMX|SVM)_IN_(?:VMX_ROOT_MODE|USE)|being used by another hypervisor",
        "another hypervisor holds the processor's virtualisation",
        "shut down the machines of KVM or VMware, then as root: modprobe -r kvm_intel kvm_amd",
    ),
    (
        r"VERR_(?:VMX_NO_VMX|VMX_MSR_\w+|SVM_NO_SVM|SVM_DISABLED|NEM_NOT_AVAILABLE)|"
        r"VT-x is (?:not available|disabled)|AMD-V is (?:not available|disabled)",
        "the processor's virtualisation (VT-x, AMD-V) is missing or switched off",
        "switch it on in the firmware's set-up (BIOS); or build without it: --builder direct",
    ),
    (
        r"Machine settings file '[^']*' already exists|VBOX_E_FILE_ERROR.*already exists",
        "VirtualBox has the files of a machine of this name already",
        "remove them, or give the lab file another name",
    ),
    (
        r"unknown builder|Unknown source type|The builder \S+ is unknown|"
        r"Did you mean to use.*plugin|missing plugin|required plugin",
        "Packer lacks the plugin of this builder",
        "invoke doctor says what to type",
    ),
    (
        r"Could not set up host forwarding rule|[Aa]ddress already in use|bind:",
        "a port that the build wants is taken",
        "another build or machine holds it: end it, then build again",
    ),
    (
        r"No space left on device|VERR_DISK_FULL",
        "the disk is full",
        "free some space, then build again",
    ),
    (
        KVM_COMPLAINT,
        "KVM cannot be used here",
        "build in software: --accel tcg",
    ),
    (
        r"has terminated unexpectedly during startup",
        "VirtualBox could not start the machine; most often its driver is missing",
        "VBoxManage --version warns if so; or build without VirtualBox: --builder qemu",
    ),
    (
        r"Timeout waiting for SSH",
        "the installed system was never heard of",
        "the installer's log, beside this one, tells how far it came",
    ),
)

# In the guest, by apt, once the system is installed.
GUEST_COMPLAINTS = (
    (
        r"Failed to fetch .*(?:Could not connect|Connection failed|timed out|Temporary failure|"
        r"Connection refused|Unable to connect|Could not resolve)",
        "the mirror was lost while the machine installed its packages",
        "check the network, then build again; or name another mirror (--mirror)",
    ),
    (
        r"Version '.*' for '.*' was not found|Failed to fetch .* 404",
        "the mirror changed while the machine was being built",
        "build again",
    ),
)

# What the installer asks when an answer of the preseed does not hold, by the question's name.
QUESTIONS = (
    (
        r"^mirror/|^apt-setup/.*(?:failed|error)|^anna/|^retriever/|^debian-installer/network",
        "the installer cannot use its mirror",
        "check the network and the proxy, or name another mirror (--mirror)",
    ),
    (
        r"^netcfg/",
        "the installer got no network",
        "the machine's adapter 1 is behind NAT: does this host have a network?",
    ),
    (
        r"^preseed/|^network-preseed",
        "the installer did not get its preseed, or could not use it",
        "a firewall of this machine may stand between: it must let the guest in",
    ),
    (
        r"^partman|^disk-detect",
        "the installer cannot partition the disk",
        "a larger disk may do: machine.disk in the lab file",
    ),
    (
        r"^(?:base-installer|debootstrap|bootstrap-base)/",
        "the installer cannot install the base system",
        "the mirror may have been lost, or not be whole: another one with --mirror",
    ),
    (
        r"^(?:pkgsel|tasksel|apt-setup)",
        "the installer cannot install the packages of the software selection",
        "the mirror may have been lost, or not be whole: another one with --mirror",
    ),
    (r"^grub", "the installer cannot put GRUB on the disk", ""),
)


def of_packer(
    said: Sequence[str], *, status: int, log: Path, trouble: Sequence[str]
) -> ToipLabError:
    """The error for a Packer that failed: its meaning, and the lines that tell it.

    ``said`` are Packer's own error lines and what the guest printed; ``trouble`` the
    installer's last words, shown where Packer's say nothing.
    """
    text = "\n".join(said)
    for pattern, meaning, hint in (*GUEST_COMPLAINTS, *COMPLAINTS):
        if found := re.search(pattern, text):
            lines = [line for line in said if found[0].splitlines()[0] in line] or list(said)
            kind = KvmError if pattern == KVM_COMPLAINT else ToipLabError
            return kind(f"{meaning}\n{_quoted(lines, trouble)}  log: {log}", hint=hint)
    return ToipLabError(
        f"packer build failed with status {status}\n{_quoted(said, trouble)}  log: {log}"
    )


def stderr_of_qemu(debug: Path) -> list[str]:
    """What QEMU said before it ended, from Packer's detailed log (PACKER_LOG)."""
    if not debug.exists():
        return []
    return QEMU_SAID.findall(debug.read_text(encoding="utf-8", errors="replace"))


def of_question(name: str, *, trouble: Sequence[str], log: Path) -> ToipLabError:
    """The error for an installer that asks a person, and so waits for ever."""
    meaning, hint = (
        "the preseed has no answer that it takes",
        "preseed/preseed.cfg.j2 has the answers",
    )
    for pattern, known, mend in QUESTIONS:
        if re.search(pattern, name):
            meaning, hint = known, mend or hint
            break
    return ToipLabError(
        f"Debian's installer asks {name}: {meaning}\n{_quoted((), trouble)}  log: {log}", hint=hint
    )


def no_virtualbox() -> ToipLabError:
    """The error for a machine without VirtualBox."""
    return ToipLabError(
        "no VirtualBox on this machine (VBoxManage is not in PATH)",
        hint="https://www.virtualbox.org/wiki/Downloads; or build without it: --builder qemu",
    )


def no_driver() -> ToipLabError:
    """The error for a VirtualBox without its driver."""
    meaning, hint = NO_DRIVER
    return ToipLabError(meaning, hint=hint)


def _quoted(said: Sequence[str], trouble: Sequence[str]) -> str:
    spoken = (re.sub(r"^==> \S+: ", "", line) for text in said for line in text.splitlines())
    lines = [line for line in dict.fromkeys(spoken) if line and not SUMMARY.match(line)][
        :SHOWN_LINES
    ]
    lines += [f"installer: {line}" for line in trouble[-SHOWN_LINES:]]
    return "".join(f"  | {line}\n" for line in lines)
