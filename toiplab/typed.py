"""The options of the tasks as a person typed them: each checked, and what they say together."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from toiplab.builders.options import BuildOptions
from toiplab.errors import ToipLabError
from toiplab.image.vmdk import Compression
from toiplab.machine.accelerator import Choice

# A build starts at once: what only other tasks need is imported by them.
if TYPE_CHECKING:
    from toiplab.bench.bench import Options as BenchOptions
    from toiplab.exam.smoke import Options

Value = TypeVar("Value")


def compression(given: str) -> Compression:
    """Check the word a user typed for how hard to compress.

    Raises:
        ToipLabError: it is none.
    """
    return _read(
        Compression,
        given,
        message=f"--compress {given!r}: no such compression",
        hint=", ".join(Compression),
    )


def accelerator(given: str) -> Choice:
    """Check the word a user typed for the accelerator.

    Raises:
        ToipLabError: it is none.
    """
    match given:
        case "auto" | "kvm" | "tcg":
            return given
    raise ToipLabError(f"--accel {given!r}: no such accelerator", hint="auto, kvm or tcg")


def address(given: str) -> IPv4Address:
    """Check the address a user typed.

    Raises:
        ToipLabError: it is none.
    """
    return _read(
        IPv4Address,
        given,
        message=f"--host {given!r}: not an IPv4 address",
        hint="such as 127.0.0.1, where forwards lead",
    )


def build_options(*, accel: str, slow: bool) -> BuildOptions:
    """The options of the builders that use Packer, as typed.

    Raises:
        ToipLabError: there is no such accelerator.
    """
    return BuildOptions(accelerator=accelerator(accel), slow=slow)


def exam_options(
    *, lab: str, accel: str, quick: bool, only: str, nat_only: bool, keep: bool
) -> Options:
    """What the options of ``smoke`` say.

    Raises:
        ToipLabError: one of them cannot be.
    """
    from toiplab.exam.plan import Plan
    from toiplab.exam.smoke import Options
    from toiplab.machine.interactive import keep_for_person

    plan = Plan().only([row.strip() for row in only.split(",") if row.strip()])
    if quick and (nat_only or (only and plan.with_phones)):
        other = "nat-only" if nat_only else f"only {only}"
        raise ToipLabError(
            f"--{other}: --quick has no phones, which this is about", hint="leave --quick out"
        )
    return Options(
        lab_file=Path(lab) if lab else None,
        accelerator=accelerator(accel),
        plan=plan.quick() if quick else plan,
        nat_only=nat_only,
        keep=keep_for_person if keep else None,
    )


def only_with_check(**given: str) -> None:
    """Refuse what ``release`` looks at with ``--check`` alone: a release is of an OVA as it is.

    Raises:
        ToipLabError: one of these options was given.
    """
    for name in filter(given.get, given):
        raise ToipLabError(
            f"--{name}: only with --check, which builds; a release is of an OVA that is there",
            hint="name it with --ova, or add --check (make: OVA=…, CHECK=1)",
        )


def not_with_check(**given: str | bool) -> None:
    """Refuse what ``release --check`` does not look at: it publishes nothing.

    Raises:
        ToipLabError: one of these options was given.
    """
    for name in filter(given.get, given):
        raise ToipLabError(
            f"--{name.replace('_', '-')}: not with --check, which publishes nothing",
            hint="one after the other: first the check, then the release",
        )


def bench_options(*, rounds: str, only: str) -> BenchOptions:
    """What the options of ``bench`` say.

    Raises:
        ToipLabError: one of them cannot be.
    """
    from toiplab.bench.bench import Options as BenchOptions

    return BenchOptions.typed(rounds=rounds, only=only)


def _read(kind: Callable[[str], Value], given: str, *, message: str, hint: str) -> Value:
    try:
        return kind(given)
    except ValueError:
        raise ToipLabError(message, hint=hint) from None
