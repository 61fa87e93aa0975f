"""``make test``: two processes of pytest, and what their ends make of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from toiplab.host import PROJECT

# ends with the status that the file "machine" or "beside" has
PYTEST = """\
#!/bin/sh
case $2 in "boot and not apart") which=machine ;; *) which=beside ;; esac
echo "the tests: $which"
exit "$(cat $which)"
"""


@pytest.mark.parametrize(
    ("machine", "beside", "status"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (2, 1, 2)]
)
def test_it_fails_if_either_does(tmp_path: Path, machine: int, beside: int, status: int) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts/test.sh", tmp_path / "scripts")
    pytest_here = tmp_path / ".venv/bin/pytest"
    pytest_here.parent.mkdir(parents=True)
    pytest_here.write_text(PYTEST)
    pytest_here.chmod(0o755)
    (tmp_path / "machine").write_text(str(machine))
    (tmp_path / "beside").write_text(str(beside))

    ended = subprocess.run(
        [tmp_path / "scripts/test.sh"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == status
    assert "the tests: machine\n" in ended.stdout
    assert ended.stdout.endswith("the tests: beside\n")
