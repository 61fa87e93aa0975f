"""Signatures, made and verified by the real programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.release.conftest import Ready
from toiplab.errors import ToipLabError
from toiplab.release.publish import Layout, publish
from toiplab.release.signing import Key, Kind, read_key, sign

PASSPHRASE = "a passphrase"
needs_minisign = pytest.mark.skipif(not shutil.which("minisign"), reason="minisign is not here")


def run(*words: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(
        words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def minisign_key(tmp_path: Path) -> Path:
    path = tmp_path / "release.key"
    run("minisign", "-G", "-W", "-s", path, "-p", tmp_path / "release.pub")
    return path


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    path = tmp_path / "id_release"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path)
    return path


def verify_as_the_notes_say(folder: Path) -> str:
    """Run the block of commands of the release notes, as whoever downloads it will."""
    notes = (folder / "RELEASE_NOTES.md").read_text()
    commands = notes.split("```")[-2].strip()
    return run("bash", "-euc", commands, cwd=folder)


@needs_minisign
def test_minisign(ready: Ready, minisign_key: Path) -> None:
    folder = ready.project.dist / "release"
    publish(ready.check(), Layout(read_key(minisign_key)), folder)

    said = verify_as_the_notes_say(folder)

    assert "toip.ova: OK\n" in said
    assert "Signature and comment signature verified\n" in said
    (folder / "SHA256SUMS").write_text("other")
    with pytest.raises(subprocess.CalledProcessError):
        run("minisign", "-V", "-p", minisign_key.with_suffix(".pub"), "-m", folder / "SHA256SUMS")


def test_ssh_keygen(ready: Ready, ssh_key: Path) -> None:
    folder = ready.project.dist / "release"
    publish(ready.check(), Layout(read_key(ssh_key)), folder)
    assert sorted(path.name for path in folder.glob("[.S]*")) == ["SHA256SUMS", "SHA256SUMS.sig"]

    assert 'Good "file" signature for toip-lab with ED25519 key' in verify_as_the_notes_say(folder)

    (folder / "SHA256SUMS").write_text("other")
    with pytest.raises(subprocess.CalledProcessError):
        verify_as_the_notes_say(folder)


def test_a_signature_by_another_key_than_the_public_one_beside_it(
    ssh_key: Path, tmp_path: Path
) -> None:
    ssh_key.with_name("id_release.pub").unlink()
    other = tmp_path / "other"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", other)
    other.with_name("other.pub").rename(ssh_key.with_name("id_release.pub"))
    file = tmp_path / "SHA256SUMS"
    file.write_text("sums")

    with pytest.raises(ToipLabError, match="ssh-keygen did not sign with it: "):
        sign(file, Key(ssh_key, Kind.SSH))


SIGN = (
    "from pathlib import Path; import sys; from toiplab.release.signing import *; "
    "sign(Path(sys.argv[1]), read_key(Path(sys.argv[2])))"
)


@pytest.fixture
def locked_key(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A key of ``request.param``, with a passphrase."""
    path = tmp_path / "locked"
    if request.param is Kind.SSH:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-C", "", "-f", path)
        return path
    if not shutil.which("minisign"):
        pytest.skip("minisign is not here")
    subprocess.run(
        ["minisign", "-G", "-s", path, "-p", tmp_path / "locked.pub"],
        input=f"{PASSPHRASE}\n{PASSPHRASE}\n",
        text=True,
        capture_output=True,
        check=True,
    )
    return path


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "SHA256SUMS"
    path.write_text("sums")
    return path


@pytest.mark.parametrize("locked_key", Kind, indirect=True)
def test_a_passphrase_is_asked_for_on_the_terminal(locked_key: Path, sums: Path) -> None:
    child = pexpect.spawn(sys.executable, ["-c", SIGN, str(sums), str(locked_key)], timeout=60)
    child.expect("(?i)pass(word|phrase).*: ?")
    child.sendline(PASSPHRASE)
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 0
    assert len(list(sums.parent.glob("SHA256SUMS.*"))) == 1


@pytest.mark.parametrize("locked_key", [Kind.SSH], indirect=True)  # minisign takes seconds
def test_a_passphrase_that_nobody_can_type(locked_key: Path, sums: Path) -> None:
    ended = subprocess.run(
        ["setsid", "--wait", sys.executable, "-c", SIGN, sums, locked_key],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert f"--key {locked_key}: " in ended.stderr
    assert " did not sign with it: " in ended.stderr
    assert "a key with a passphrase asks for it, and so needs a terminal" in ended.stderr
    assert not list(sums.parent.glob("SHA256SUMS.*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory\n  a secret key of minisign or of ssh-keygen"),
        (
            "",
            "no secret key of minisign or of ssh-keygen\n"
            "  minisign -G makes one; ssh-keygen -t ed25519 as well",
        ),
        (
            "hello\n",
            "no secret key of minisign or of ssh-keygen\n"
            "  minisign -G makes one; ssh-keygen -t ed25519 as well",
        ),
        ("ssh-ed25519 AAAA\n", "a public key; it signs nothing\n  name the secret one"),
        (
            "untrusted comment: minisign public key 12\nRW\n",
            "a public key; it signs nothing\n  name the secret one",
        ),
        (
            "untrusted comment: minisign encrypted secret key\nRW\n",
            "its public key is not beside it: release.pub\n  every signature is verified with it; "
            "minisign -R -s {path} -p {folder}/release.pub makes it again",
        ),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\n",
            "its public key is not beside it: release.key.pub\n  every signature is verified with "
            "it; ssh-keygen -y -f {path} > {folder}/release.key.pub makes it again",
        ),
    ],
)
def test_what_is_no_key(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "release.key"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ToipLabError) as error:
        read_key(path)

    assert str(error.value) == f"--key {path}: " + message.format(path=path, folder=tmp_path)
