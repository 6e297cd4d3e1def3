"""What failed beside others is run once more, alone; named either way, and no more than a few."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scripts.run_tests import MOST
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

#: Each passes from its so manieth run on.
TESTS = """
from pathlib import Path

import pytest

@pytest.mark.parametrize(("name", "passes"), {cases})
def test_it(name, passes):
    runs = Path(name)
    runs.write_text(runs.read_text() + "." if runs.exists() else ".")
    assert len(runs.read_text()) >= passes
"""


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run tests that pass from so many runs on. Returns how it ended, what it said, and how often each has run."""

    def running(**cases: int) -> tuple[int, str, list[int]]:
        (tmp_path / "test_some.py").write_text(TESTS.format(cases=[*cases.items()]))
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        ran = subprocess.run(
            [sys.executable, "-m", "scripts.run_tests", "-n2", "-p", "no:django"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        return ran.returncode, ran.stdout, [len((tmp_path / name).read_text()) for name in cases]

    return running


def test_what_passes_is_run_once(run):
    code, said, runs = run(sound=1, other=1)
    assert (0, [1, 1]) == (code, runs)
    assert "once more" not in said


def test_what_failed_is_run_once_more_and_named(run):
    code, said, runs = run(sound=1, unsteady=2)
    assert (0, [1, 2]) == (code, runs)
    assert said.endswith("=== PASSED only alone ===\ntest_some.py::test_it[unsteady-2]\n")


def test_what_fails_again_has_failed(run):
    code, said, runs = run(sound=1, wrong=3)
    assert (1, [1, 2]) == (code, runs)
    assert said.endswith("=== FAILED again ===\ntest_some.py::test_it[wrong-3]\n")


def test_many_failures_are_no_accident(run):
    code, said, runs = run(**{f"wrong{number}": 2 for number in range(MOST + 1)})
    assert (1, [1] * (MOST + 1)) == (code, runs)
    assert "once more" not in said
