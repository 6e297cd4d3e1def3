"""The machine a run takes place on: its cores, what is installed, and who gets which core."""

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "django",
    "channels",
    "asgiref",
    "daphne",
    "twisted",
    "autobahn",
    "uvicorn",
    "websockets",
    "picows",
    "prometheus-client",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-asgi",
    "sentry-sdk",
    "uvloop",
    "httptools",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run took place. `server_core` and `client_core` are equal on a machine with one core."""

    cores: int
    server_core: int
    client_core: int
    load_average: float
    processor: str
    system: str
    python: str
    packages: dict[str, str]


def describe_machine() -> Machine:
    """Name the cores this process may use, the first for servers and the last for the load client."""
    cores = sorted(os.sched_getaffinity(0))
    return Machine(
        cores=len(cores),
        server_core=cores[0],
        client_core=cores[-1],
        load_average=os.getloadavg()[0],
        processor=_read_processor(),
        system=platform.platform(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: _read_version(name) for name in PACKAGES},
    )


def pin(core: int) -> None:
    """Keep this process, and every thread it starts from now on, on one core."""
    os.sched_setaffinity(0, {core})


def _read_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or sys.platform
