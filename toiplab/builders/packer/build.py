"""A lab's OVA by Debian's installer, in QEMU or in VirtualBox, driven by Packer.

packages resolved, ISO checked -> packer: installer, first boot, packages -> disk -> OVA
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toiplab import host
from toiplab.builders import cache, space
from toiplab.builders.contract import Request, check_machine, one_build_at_a_time
from toiplab.builders.options import DEFAULT, BuildOptions
from toiplab.builders.pack import Built, adopt, pack
from toiplab.builders.packer import failure, iso, qemu, virtualbox
from toiplab.builders.packer.client import Packer, Plugin
from toiplab.builders.packer.failure import KvmError
from toiplab.builders.packer.job import EMULATED, NATIVE, Job
from toiplab.builders.packer.virtualbox import VirtualBox
from toiplab.builders.packer.watch import SilentError
from toiplab.builders.packer.workspace import Workspace
from toiplab.builders.plan import fresh_log, plan, scratch
from toiplab.errors import ToipLabError
from toiplab.image.disk import PARTITION_START, SECTOR
from toiplab.image.ext4 import Image
from toiplab.machine.accelerator import Accelerator, KvmMemory, candidates
from toiplab.progress import Progress

PROGRAMS = ("apt-get", "openssl", "ssh-keygen")


def build_qemu(request: Request, progress: Progress, *, options: BuildOptions = DEFAULT) -> Path:
    """Build a lab's OVA in QEMU and return its path in ``dist/``, its manifest beside it.

    Raises:
        ToipLabError: whatever stands in the way, before anything long where it can be told.
    """
    host.require(*qemu.PROGRAMS)
    memory = KvmMemory(request.project.build / "kvm-fails")
    accelerators = candidates(options.accelerator, memory)

    def make(job: Job) -> Path:
        for accelerator in accelerators:
            progress.note(f"accelerator: {accelerator}; logs: {job.log.parent}")
            try:
                _run_qemu(job, accelerator)
                break
            except (SilentError, KvmError) as error:
                if accelerator is accelerators[-1]:
                    raise error if isinstance(error, KvmError) else _silent(job.log) from None
                memory.remember_failure()
                progress.warn("Linux does not come up under KVM here: in software, then")
        raw = job.work.folder / "disk.raw"
        with progress.step("Read the disk"):
            made = job.work.output / request.lab.hardware.name
            host.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", made, raw], log=job.log)
            made.unlink()
            # TRIM has given back whole clusters of the qcow2 only
            Image(raw, PARTITION_START * SECTOR).drop_free_blocks(job.log)
        programs = (*qemu.PROGRAMS, "packer")
        built = Built("qemu", request, job.planned.package_set, programs, job.image)
        return pack(built, raw, progress)

    return _build(request, progress, options, make, plugin=qemu.PLUGIN)


def _run_qemu(job: Job, accelerator: Accelerator) -> None:
    hardware = job.request.lab.hardware
    console = fresh_log(job.request, "console.log")
    pace = NATIVE if accelerator is Accelerator.KVM else EMULATED
    values: dict[str, object] = {
        "cpus": qemu.cpus(),
        "qemuargs": qemu.arguments(
            hardware, accelerator, iso=Path(job.image.url), console=console.resolve()
        ),
    }
    job.run(qemu.SOURCE, pace, values)


def build_virtualbox(
    request: Request, progress: Progress, *, options: BuildOptions = DEFAULT
) -> Path:
    """Build a lab's OVA in VirtualBox and return its path in ``dist/``, its manifest beside it.

    Raises:
        ToipLabError: whatever stands in the way, before anything long where it can be told.
    """
    box = VirtualBox.find()
    name = request.lab.hardware.name
    box.check(name)

    def make(job: Job) -> Path:
        box.check(name)  # once more: what is removed below must be Packer's
        progress.note(f"VirtualBox {'.'.join(map(str, box.version))}; logs: {job.log.parent}")
        paces = (EMULATED,) if options.slow else (NATIVE, EMULATED)
        for pace in paces:
            try:
                job.run(virtualbox.SOURCE, pace, {"vboxmanage": box.options()})
                break
            except SilentError:
                if pace is paces[-1]:
                    raise _silent(job.log) from None
                progress.warn("the installer does not begin here so soon: again, as with --slow")
            finally:
                box.remove(name)
        programs = (virtualbox.PROGRAM, "packer")
        built = Built("virtualbox", request, job.planned.package_set, programs, job.image)
        return adopt(built, job.work.output / f"{name}.ova", progress)

    return _build(request, progress, options, make, plugin=virtualbox.PLUGIN)


def qemu_readiness() -> str:
    """What the qemu builder would use.

    Raises:
        ToipLabError: what it lacks, with the mend.
    """
    host.require(*PROGRAMS, *qemu.PROGRAMS)
    return f"can run, with {_packer_for(qemu.PLUGIN)}"


def virtualbox_readiness() -> str:
    """What the virtualbox builder would use.

    Raises:
        ToipLabError: what it lacks, with the mend.
    """
    box = VirtualBox.find()  # the one that is rarer, and quicker to look for
    packer = _packer_for(virtualbox.PLUGIN)
    if not box.can_start_machines:
        raise failure.no_driver()
    host.require(*PROGRAMS)
    return f"can run, with {packer} and VirtualBox {'.'.join(map(str, box.version))}"


def _packer_for(plugin: Plugin) -> Packer:
    packer = Packer.find()
    packer.check_plugin(plugin)
    return packer


def _build(
    request: Request,
    progress: Progress,
    options: BuildOptions,
    make: Callable[[Job], Path],
    *,
    plugin: Plugin,
) -> Path:
    check_machine()
    host.require(*PROGRAMS)
    packer = _packer_for(plugin)
    iso.check_own(request)
    space.check_host(request)
    with (
        one_build_at_a_time(request.project),
        cache.opened(request.project.cache),
        scratch(request) as folder,
    ):
        log = fresh_log(request, "build.log")
        fresh_log(request, "packer.log")
        planned = plan(request, progress, log=log, releases=options.releases)
        image = iso.provide(request, planned.release, log=log, progress=progress)
        work = Workspace(folder.resolve())
        work.prepare(planned)
        return make(Job(request, planned, packer, image, work, progress, options.priority))


def _silent(log: Path) -> ToipLabError:
    return ToipLabError(
        f"the installer was never heard of: it did not start, or has no network\n  log: {log}",
        hint="the boot command may have been typed too early: build again on a quieter machine, or "
        "give it more time: --slow (virtualbox), --accel tcg (qemu)",
    )
