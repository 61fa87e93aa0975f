"""VirtualBox on a slow machine: where the installer is not heard of, it is tried with more time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from toiplab.builders.options import BuildOptions
from toiplab.builders.packer import build
from toiplab.builders.packer.job import EMULATED, NATIVE, Pace
from toiplab.builders.packer.watch import SilentError
from toiplab.errors import ToipLabError
from toiplab.progress import Progress


class Box:
    """A VirtualBox that keeps what was removed."""

    version = (7, 2)

    def __init__(self) -> None:
        self.removed: list[str] = []

    def check(self, _: str) -> None: ...

    def options(self) -> list[list[str]]:
        return []

    def remove(self, name: str) -> None:
        self.removed.append(name)


@pytest.mark.parametrize(
    ("slow", "silent", "tried"),
    [
        (False, [], [NATIVE]),
        (False, [NATIVE], [NATIVE, EMULATED]),
        (False, [NATIVE, EMULATED], [NATIVE, EMULATED]),
        (True, [EMULATED], [EMULATED]),
    ],
)
def test_with_more_time_once(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    slow: bool,
    silent: list[Pace],
    tried: list[Pace],
) -> None:
    seen: list[Pace] = []
    box = Box()

    def run(_source: str, pace: Pace, _values: object) -> None:
        seen.append(pace)
        if pace in silent:
            raise SilentError

    job = SimpleNamespace(
        log=tmp_path / "packer.log",
        run=run,
        planned=SimpleNamespace(package_set=None),
        image=None,
        work=SimpleNamespace(output=tmp_path),
    )
    request = SimpleNamespace(lab=SimpleNamespace(hardware=SimpleNamespace(name="toip-lab-isi")))
    monkeypatch.setattr(build.VirtualBox, "find", lambda: box)
    monkeypatch.setattr(build, "_build", lambda *given, **_: given[3](job))
    monkeypatch.setattr(build, "adopt", lambda _built, exported, _progress: exported)

    if tried[-1] not in silent:
        ova = build.build_virtualbox(request, Progress(), options=BuildOptions(slow=slow))
        assert ova == tmp_path / "toip-lab-isi.ova"
    else:
        with pytest.raises(ToipLabError, match="never heard of"):
            build.build_virtualbox(request, Progress(), options=BuildOptions(slow=slow))

    assert seen == tried
    assert box.removed == ["toip-lab-isi"] * len(tried)  # no machine is left behind a try
