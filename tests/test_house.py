"""The house itself: what is shipped, what may know what, what the Makefile promises, what is locked."""

from __future__ import annotations

import ast
import gzip
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.db import connection
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.processes import ROOT, environment

CORE_MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.joinpath("hub", "core").rglob("*.py")
)
#: The client library stays below so many bytes, gzipped; `frontend/vite.client.config.ts` refuses more.
MOST_LIBRARY_BYTES = 4096
PROJECT = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program of the virtual environment, or of the machine, to its end."""
    beside_python = Path(sys.executable).with_name(command[0])
    program = str(beside_python) if beside_python.exists() else command[0]
    return subprocess.run(
        [program, *command[1:]], cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=110
    )


def build_wheel(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return run("hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)


# --- the wheel ----------------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_hub_and_its_page_and_nothing_else(tmp_path):
    built = build_wheel(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"hub", f"channels_hub-{PROJECT['project']['version']}.dist-info"}

    manifest = json.loads(ZipFile(wheel).read("hub/web/dist/manifest.json"))
    files = {name for entry in manifest.values() for name in (entry["file"], *entry.get("css", []))}
    assert {f"hub/web/dist/{name}" for name in files} <= names
    assert "hub/py.typed" in names

    library = {name for name in names if name.startswith("hub/web/dist/client/")}
    assert {f"hub/web/dist/client/hubsocket.{ending}" for ending in ("js", "js.map", "d.ts")} == library
    module = ZipFile(wheel).read("hub/web/dist/client/hubsocket.js")
    assert b"HubSocket" in module
    assert len(gzip.compress(module)) < MOST_LIBRARY_BYTES


def test_a_wheel_without_the_page_is_refused_with_the_remedy(tmp_path):
    for name in ("pyproject.toml", "hatch_build.py", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "README.md").touch()
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "__init__.py").touch()

    built = build_wheel(tmp_path, tmp_path)

    assert built.returncode != 0
    assert "make wheel" in built.stdout + built.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_the_version_is_written_the_same_in_both_places():
    source = ROOT.joinpath("hub", "__init__.py").read_text()
    assert re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE) == [PROJECT["project"]["version"]]


# --- the rooms ----------------------------------------------------------------------------------------------------


def test_the_walls_between_the_rooms_stand():
    checked = run("lint-imports", "--no-logo", "--no-cache")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("module", ["hub", *CORE_MODULES])
def test_the_core_and_the_package_load_no_framework(module):
    frameworks = {"asgiref", "asyncio", "channels", "django", "msgspec", "prometheus_client", "redis"}
    loaded = run("python", "-c", f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})")
    assert loaded.returncode == 0, loaded.stderr
    assert frameworks & set(loaded.stdout.split()) == set()


@pytest.mark.parametrize("module", CORE_MODULES)
def test_the_core_imports_the_standard_library_and_itself(module):
    path = ROOT.joinpath(*module.split("."))
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide the room"
            imported.add(node.module or "")
    foreign = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not name.startswith("hub.core")} == set()


@pytest.mark.django_db
def test_the_test_database_is_a_file():
    # Servers' threads and the hub's own executor share it; one in memory is seen by a single thread only.
    name = str(connection.settings_dict["NAME"])
    assert connection.vendor == "sqlite"
    assert "memory" not in name
    assert Path(name).is_file()


# --- the Makefile -------------------------------------------------------------------------------------------------


def test_make_alone_lists_every_target():
    makefile = ROOT.joinpath("Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    listed = re.findall(r"^ {2}make (\S+) +\S", run("make").stdout, re.MULTILINE)
    assert phony == listed
    assert run("make").stdout == run("make", "help").stdout


# --- what is locked and what is written ---------------------------------------------------------------------------


def locked_versions() -> dict[str, list[tuple[str, str]]]:
    """Every locked package, with its versions and the markers under which each is installed."""
    locked: dict[str, list[tuple[str, str]]] = {}
    lines = re.findall(r"^(\S+)==(\S+)(?: ; (.+?))? \\$", ROOT.joinpath("requirements.txt").read_text(), re.MULTILINE)
    for name, version, marker in lines:
        locked.setdefault(canonicalize_name(name), []).append((version, marker))
    return locked


def ranges() -> list[Requirement]:
    """Every requirement that pyproject.toml names: of the package, its extras and the dependency groups."""
    project = PROJECT["project"]
    groups = [*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    named = [*project["dependencies"], *(entry for group in groups for entry in group if isinstance(entry, str))]
    return [Requirement(entry) for entry in named]


@pytest.mark.parametrize("requirement", ranges(), ids=str)
def test_every_range_is_locked_within_itself(requirement):
    versions = [version for version, _ in locked_versions()[canonicalize_name(requirement.name)]]
    assert [version for version in versions if not requirement.specifier.contains(version, prereleases=True)] == []


def test_both_django_lines_are_locked():
    lines = {(version.rpartition(".")[0], marker) for version, marker in locked_versions()["django"]}
    assert lines == {("5.2", "python_full_version < '3.12'"), ("6.1", "python_full_version >= '3.12'")}


def test_no_file_names_a_package_registry():
    hosts = (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
    )
    written = re.compile("|".join(re.escape(".".join(host)) for host in hosts))
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    assert listed.returncode == 0, listed.stderr
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    texts = {path: path.read_text(errors="ignore") for path in paths if path.is_file()}
    assert {str(path): found for path, text in texts.items() if (found := written.findall(text))} == {}


def test_the_lock_files_hold_no_address():
    assert "://" not in ROOT.joinpath("requirements.txt").read_text()
    packages = json.loads(ROOT.joinpath("frontend", "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
