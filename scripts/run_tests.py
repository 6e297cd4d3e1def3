"""
``python -m scripts.run_tests``: pytest with these arguments; what failed beside others is run once more, alone.

Thousands of tests drive real servers, browsers and databases, or look at what happens within milliseconds, several at a
time. Where a machine is too busy for that, a test may fail for want of a processor, and alone it passes. It is named at
the end in either case: one that is named often has a race in it, or has found one. Nothing is run again where more than
a few failed, or where a run was interrupted.
"""

# ruff: noqa: S603, T201 - a script may print, and run tools with arguments of its own

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

#: More failures than this are no accident; one of what many tests share takes all of these along.
MOST = 10
FAILED = Path(".pytest_cache", "v", "cache", "lastfailed")
#: What pytest ends with when tests have failed, and nothing else is wrong.
TESTS_FAILED = 1


def run(arguments: list[str]) -> int:
    """Run pytest. Returns what it ends with."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def failed() -> list[str]:
    """The tests that have failed in the last run, or could not be collected."""
    return sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []


def main(arguments: list[str]) -> int:
    """Run the tests, and those that failed once more. Returns what pytest ended with at last."""
    FAILED.unlink(missing_ok=True)
    code, names = run(arguments), failed()
    if code != TESTS_FAILED or not 0 < len(names) <= MOST:
        return code
    print(f"\n=== {len(names)} FAILED beside others: once more, alone ===", *names, sep="\n", flush=True)
    code = run(["-n0", *names])
    print(f"\n=== {'FAILED again' if code else 'PASSED only alone'} ===", *names, sep="\n", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
