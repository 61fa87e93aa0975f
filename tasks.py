"""The tasks of toip-lab. Each is thin: it reads options and calls the package.

invoke --list
invoke build-ova --lab labs/isi.yml
"""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from toiplab import cli, typed

DEFAULT_LAB = "labs/isi.yml"


@task(
    help={
        "lab": f"the lab file (default: {DEFAULT_LAB})",
        "release": "auto, buster (10.13) or bullseye (11); default: what the lab file says",
        "builder": "auto, direct, qemu or virtualbox",
        "mirror": "address of a debian folder; debian-security is looked for beside it",
        "iso": "qemu and virtualbox: the installer's image, where it is not to be fetched",
        "fresh": "build anew, with nothing that an earlier build made but the packages' files",
        "compress": "fast, or best: some 4 % smaller, in a minute instead of seconds",
        "accel": "qemu: auto, kvm or tcg",
        "slow": "virtualbox: more time for everything, where it runs in software",
    }
)
def build_ova(
    _: Context,
    *,
    lab: str = DEFAULT_LAB,
    release: str = "",
    builder: str = "auto",
    mirror: str = "",
    iso: str = "",
    compress: str = "fast",
    fresh: bool = False,
    accel: str = "auto",
    slow: bool = False,
) -> None:
    """Build the OVA of a lab, in dist/."""
    with cli.reporting() as progress:
        options = typed.build_options(accel=accel, slow=slow)
        cli.build_ova(
            Path(lab),
            release=release,
            builder=builder,
            mirror=mirror,
            progress=progress,
            iso=iso,
            compress=typed.compression(compress),
            fresh=fresh,
            options=options,
        )


@task(help={"lab": "the lab file", "release": "buster or bullseye; auto renders buster"})
def render(_: Context, lab: str = DEFAULT_LAB, release: str = "") -> None:
    """Write what a build would use to build/<lab>/rendered/, to look at."""
    with cli.reporting() as progress:
        cli.render(Path(lab), release=release, progress=progress)


@task(help={"ova": "the OVA (default: the newest in dist/)", "accel": "auto, kvm or tcg"})
def boot(_: Context, ova: str = "", accel: str = "auto") -> None:
    """Start an OVA in QEMU as its OVF says, its console in this terminal."""
    with cli.reporting() as progress:
        cli.boot(ova, accel=typed.accelerator(accel), progress=progress)


@task(
    help={
        "ova": "the OVA (default: the newest in dist/)",
        "lab": "the lab file it was built from (default: what its manifest says)",
        "accel": "auto, kvm or tcg",
        "quick": "without phones: the services as they report themselves",
        "only": "the rows to examine, such as A5,A6 (no space between); without the reboot",
        "nat-only": "all phones on the host, behind the forwards; no lab network",
        "keep": "leave the machine up after the exam, its console in this terminal",
        "host": "examine the machine that runs at this address, instead of booting the OVA",
    }
)
def smoke(
    _: Context,
    *,
    ova: str = "",
    lab: str = "",
    accel: str = "auto",
    quick: bool = False,
    only: str = "",
    nat_only: bool = False,
    keep: bool = False,
    host: str = "",
) -> None:
    """Boot an OVA and use it as a class does: phones, calls, a reboot; report every row."""
    with cli.reporting() as progress:
        options = typed.exam_options(
            lab=lab, accel=accel, quick=quick, only=only, nat_only=nat_only, keep=keep
        )
        cli.smoke(ova, options, host=host, progress=progress)


@task(
    help={
        "first": "an OVA",
        "second": "another one",
        "lab": "the lab file both were built from (default: what their manifests say)",
        "accel": "auto, kvm or tcg",
    }
)
def compare(_: Context, first: str, second: str, *, lab: str = "", accel: str = "auto") -> None:
    """Boot two OVAs and list how they differ: packages, files, units, accounts, ports."""
    with cli.reporting() as progress:
        cli.compare(
            Path(first), Path(second), lab=lab, accel=typed.accelerator(accel), progress=progress
        )


@task(
    help={
        "lab": f"the lab whose packages all contestants install (default: {DEFAULT_LAB})",
        "release": "auto, buster (10.13) or bullseye (11); default: what the lab file says",
        "rounds": "how often each contestant runs; those that take minutes run once",
        "only": "some contests, such as builds,vmdk (no space between); others stay as last held",
    }
)
def bench(
    _: Context, *, lab: str = DEFAULT_LAB, release: str = "", rounds: str = "2", only: str = ""
) -> None:
    """Measure builds and boots beside other tools, and write docs/bench.md with its plot."""
    with cli.reporting() as progress:
        options = typed.bench_options(rounds=rounds, only=only)
        cli.bench(Path(lab), release=release, options=options, progress=progress)


@task(
    help={
        "ova": "the OVA (default: the newest in dist/)",
        "key": "sign with this secret key, of minisign or of ssh-keygen",
        "with-secrets": "publish the lab's secrets as well, which the OVA holds in any case",
        "tagged": "the commit must carry the version's tag, and CHANGELOG.md its section",
        "check": "instead: build the OVA twice, under other circumstances, and compare every byte",
        "lab": f"with --check: the lab file (default: {DEFAULT_LAB})",
        "release": "with --check: as for build-ova",
        "mirror": "with --check: as for build-ova",
        "compress": "with --check: as for build-ova",
    }
)
def release(
    _: Context,
    *,
    ova: str = "",
    key: str = "",
    with_secrets: bool = False,
    tagged: bool = False,
    check: bool = False,
    lab: str = "",
    release: str = "",
    mirror: str = "",
    compress: str = "",
) -> None:
    """Lay out what is published of an OVA that passed its exam, in dist/release/."""
    with cli.reporting() as progress:
        if not check:
            typed.only_with_check(lab=lab, release=release, mirror=mirror, compress=compress)
            cli.release(ova, key=key, with_secrets=with_secrets, tagged=tagged, progress=progress)
            return
        typed.not_with_check(ova=ova, key=key, with_secrets=with_secrets, tagged=tagged)
        cli.check_release(
            Path(lab or DEFAULT_LAB),
            release=release,
            mirror=mirror,
            compress=typed.compression(compress or "fast"),
            progress=progress,
        )


@task
def doctor(_: Context) -> None:
    """Say what this machine can do: its tools, its builders, what is missing."""
    with cli.reporting():
        cli.doctor()


@task
def lint(context: Context) -> None:
    """Check the code and the workflows: ruff, mypy, shellcheck, check-jsonschema, zizmor."""
    with cli.reporting() as progress:
        cli.lint(context, progress)


@task(pre=[lint])
def test(context: Context) -> None:
    """Everything: lint, unit tests, an OVA built (a fresh one is reused), booted, examined."""
    with cli.reporting():
        cli.pytest(context)


@task
def clean(_: Context) -> None:
    """Remove build/ and dist/."""
    with cli.reporting():
        cli.clean()
