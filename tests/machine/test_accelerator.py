import pytest

from toiplab.errors import ToipLabError
from toiplab.machine.accelerator import Accelerator, KvmMemory, candidates

KVM, TCG = Accelerator.KVM, Accelerator.TCG


@pytest.mark.parametrize(
    ("choice", "there", "failed", "expected"),
    [
        ("auto", True, False, (KVM, TCG)),
        ("auto", True, True, (TCG,)),
        ("auto", False, False, (TCG,)),
        ("kvm", True, False, (KVM,)),
        ("kvm", True, True, (KVM,)),
        ("tcg", True, False, (TCG,)),
    ],
)
def test_candidates(tmp_path, choice, there, failed, expected):
    device, memory = tmp_path / "kvm", KvmMemory(tmp_path / "build" / "kvm-fails")
    if there:
        device.touch()
    if failed:
        memory.remember_failure()
    assert candidates(choice, memory, device) == expected


def test_kvm_by_name_without_kvm(tmp_path):
    with pytest.raises(ToipLabError) as caught:
        candidates("kvm", KvmMemory(tmp_path / "memory"), tmp_path / "kvm")
    assert caught.value.message == (
        f"KVM cannot be used: {tmp_path}/kvm is absent or not writable by this user"
    )


def test_a_failure_is_forgotten_when_the_host_restarts(tmp_path):
    memory = KvmMemory(tmp_path / "memory")
    memory.remember_failure()
    assert memory.fails()
    memory.file.write_text("the boot id of another day")
    assert not memory.fails()
