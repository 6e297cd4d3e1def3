"""The package in a program of its own."""

import subprocess
import sys

import pytest

from tests.support.processes import ROOT, environment


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_it_loads_no_django():
    done = run("import sys, hub.client; print(*{name.split('.')[0] for name in sys.modules})")
    assert done.returncode == 0, done.stderr
    assert {"websockets", "hub"} <= set(done.stdout.split())
    assert not {"django", "channels", "asgiref", "msgspec", "prometheus_client"} & set(done.stdout.split())


@pytest.mark.parametrize("module", ["hub.client", "hub.client.connection"])
def test_without_the_library_it_names_the_extra(module):
    done = run(f"import sys; sys.modules['websockets'] = None; import {module}")
    assert done.returncode != 0
    assert "pip install 'channels-hub[client]'" in done.stderr.splitlines()[-1]
