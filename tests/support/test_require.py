"""A skip is loud, and where everything has to run it is a failure."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import require
from tests.support.processes import ROOT, environment

TESTS = """
import pytest
from tests.support.require import TOOLS, require

TOOLS["teapot"] = (("no-such-teapot",), "teapot")


def test_tea():
    require("teapot")


def test_water():
    pass


@pytest.mark.xfail(strict=True)
def test_milk():
    assert not "milk"
"""


def run_tests(folder, **variables):
    (folder / "test_kitchen.py").write_text(TESTS)
    options = [
        "-p",
        "tests.conftest",
        "-p",
        "no:django",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        str(folder),
    ]
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pytest", *options, str(folder)],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="hub.settings", HUB_VAR=str(folder), **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow
def test_a_missing_tool_skips_and_is_listed_at_the_end(tmp_path):
    done = run_tests(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 SKIPPED: this run did not check" in done.stdout
    assert "test_tea: teapot is not on this machine (Debian: apt-get install teapot)" in done.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_a_missing_tool_fails_where_everything_has_to_run(tmp_path):
    done = run_tests(tmp_path, HUB_REQUIRE_ALL="1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Skipped, though HUB_REQUIRE_ALL=1: teapot is not on this machine" in done.stdout
    assert "1 failed, 1 passed, 1 xfailed" in done.stdout.splitlines()[-1]


def test_an_unknown_tool_is_an_error():
    with pytest.raises(KeyError):
        require.require("sledgehammer")
