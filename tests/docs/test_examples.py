"""Everything in the documents that can be wrong by itself: code, commands, names and links."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

import hub
from hub import metrics
from hub.alerting.sources import watched
from hub.conf import ENVIRONMENT, Config, read
from hub.core.events import SEVERITY_BY_KIND
from hub.core.metrics import Registry
from hub.feed import wire
from tests.docs.markdown import DOCUMENTS, all_blocks, anchors, prose, tables
from tests.support.processes import ROOT

METRICS = ROOT / "docs" / "metrics.md"

#: Shell commands that are the reader's machine's, not this project's.
FOREIGN = {"amtool", "curl", "mkdir", "printf", "prometheus", "prometheus-alertmanager", "promtool"}


# --- Python -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", all_blocks("python"), ids=str)
def test_a_python_block_runs(block, monkeypatch):
    monkeypatch.setattr(metrics, "REGISTRY", Registry())
    # What a reader's own project brings along where a block shows one line of it.
    scaffold: dict[str, Any] = {"__name__": "example", "hub": hub, "application": object()}
    exec(compile(block.text, str(block), "exec"), scaffold)  # noqa: S102  our own text
    if "HUB" in scaffold:
        assert read(settings_of(scaffold), {})[1] == []
    if "tenant_of" in scaffold:
        assert scaffold["tenant_of"]({"session": {"organisation": "acme"}}) == "acme"


def settings_of(scaffold: dict[str, Any]) -> dict[str, Any]:
    """An example's settings, with a callable that exists in place of the reader's own."""
    return {key: "os.getcwd" if key == "TENANT" else value for key, value in scaffold["HUB"].items()}


# --- commands -----------------------------------------------------------------------------------------------------


def commands() -> list[tuple[str, str]]:
    return [(str(block), line) for block in all_blocks("console", "bash") for line in block.commands]


def test_every_line_of_a_console_block_is_a_command():
    lines = [(block, line) for block in all_blocks("console", "bash") for line in block.text.splitlines()]
    assert [(str(block), line) for block, line in lines if not line.startswith("$ ")] == []


@pytest.mark.parametrize(("place", "line"), commands(), ids=lambda value: value[:60])
def test_a_command_exists(place, line):
    words = [word for word in shlex.split(line.partition(" <")[0]) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    match words:
        case ["make", *targets]:
            known = set(re.findall(r"^([a-z-]+):", ROOT.joinpath("Makefile").read_text(), re.MULTILINE))
            assert set(targets) <= known
        case ["python", "manage.py", command, *arguments]:
            parse(command, arguments)
        case ["python", "-m", "pip", "install" | "uninstall", *_]:
            pass
        case ["python", "-m", module, *_]:
            assert find_spec(module) is not None, place
        case ["daphne" | "uvicorn", *arguments]:
            assert any(argument.endswith("asgi:application") for argument in arguments), place
        case [program, *arguments]:
            assert program in FOREIGN, f"{place}: {line}"
            named = {name for word in arguments for name in re.findall(r"deploy/\S+\.yml", word)}
            assert [] == [name for name in named if not (ROOT / name).is_file()], place


def parse(command: str, arguments: list[str]) -> None:
    """Parse a management command's line as Django would; an unknown option ends the test."""
    loaded = load_command_class(get_commands()[command], command)
    loaded.create_parser("manage.py", command).parse_args(arguments)


def test_make_targets_in_prose_exist():
    known = set(re.findall(r"^([a-z-]+):", ROOT.joinpath("Makefile").read_text(), re.MULTILINE))
    named = {target for document in DOCUMENTS for target in re.findall(r"`make ([a-z-]+)`", prose(document))}
    assert named <= known


# --- names --------------------------------------------------------------------------------------------------------


def written(pattern: str) -> set[tuple[str, str]]:
    """Every match in the documents, code and all, with the document's name."""
    return {(document.name, found) for document in DOCUMENTS for found in re.findall(pattern, document.read_text())}


def missing(pattern: str, known: set[str]) -> list[tuple[str, str]]:
    return sorted((name, found) for name, found in written(pattern) if found not in known)


def test_every_key_of_the_settings_exists():
    # `K` stands for any of them.
    keys = {name.upper() for name in Config.__struct_fields__} | {"K"}
    assert missing(r"HUB\[[\"'](\w+)[\"']\]", keys) == []


def test_every_variable_exists():
    # Those of the page's build, of the tests and of a reader's own program.
    known = {*ENVIRONMENT.values(), "HUB_VAR", "HUB_TOKEN", "HUB_K"}
    assert missing(r"\b(HUB_[A-Z_]+)\b", known) == []


def sample_names(metric: str, kind: str) -> set[str]:
    return {metric, f"{metric}_bucket", f"{metric}_sum", f"{metric}_count"} if kind == "histogram" else {metric}


def test_every_metric_and_name_of_the_hub_exists():
    rows = [row for table in tables(METRICS) for row in table]
    known = {name for row in rows for name in sample_names(row["metric"], row["type"])}
    mixin = {name for name in vars(hub.MonitoredConsumerMixin) if name.startswith("hub_")}
    manage = {name for name in get_commands() if name.startswith("hub_")}
    # A prefix, a family by its prefix, the feed's route as the guide imports it, a parameter.
    other = {"hub_routes", "hub_…", "hub_feed_", "hub_", "ws_"}
    # What rules look at and Prometheus has in another way.
    looked_at = set(watched())
    assert missing(r"\b((?:ws|hub)_[a-z_]*)", known | mixin | manage | other | looked_at) == []


def resolves(path: str) -> bool:
    """Whether a dotted path leads somewhere: module, then attributes."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:end]))
        except ImportError:
            continue
        return all((found := getattr(found, part, None)) is not None for part in parts[end:])
    return False


def test_every_dotted_name_leads_somewhere():
    permissions = {"hub.view_ops", "hub.operate"}
    checks = {row["id"] for row in tables(ROOT / "docs" / "operations.md")[2]}
    # A host that the nginx and Prometheus examples name, and a file.
    foreign = {"hub.example.com", "hub.token"}
    known = {*permissions, *checks, *wire.SUBPROTOCOLS, *SEVERITY_BY_KIND, *foreign}
    found = written(r"(?<![\w/.])(hub\.\w+(?:\.\w+)*)")
    assert sorted((name, path) for name, path in found if path not in known and not resolves(path)) == []


def test_every_path_of_the_repository_exists():
    found = written(r"`((?:hub|tests|docs|frontend|consumers|benchmarks|deploy|scripts)/[\w/.{},]*)`")
    # A secret is whoever's it is.
    paths = {(name, path.rstrip("/")) for name, path in found if "{" not in path and "/secrets/" not in path}
    assert sorted((name, path) for name, path in paths if not ROOT.joinpath(path).exists()) == []


# --- links --------------------------------------------------------------------------------------------------------


def links() -> list[tuple[Path, str]]:
    pattern = r"\]\(([^)]+)\)|(?:src|srcset)=\"([^\"]+)\""
    found = [(document, a or b) for document in DOCUMENTS for a, b in re.findall(pattern, prose(document))]
    return [(document, target) for document, target in found if "://" not in target]


@pytest.mark.parametrize(("document", "target"), links(), ids=lambda value: getattr(value, "name", value))
def test_a_link_leads_somewhere(document, target):
    path, _, anchor = target.partition("#")
    file = (document.parent / path).resolve() if path else document
    assert file.exists(), f"{document.name} links to {target}"
    if anchor:
        assert anchor in anchors(file), f"{document.name} links to {target}: there is {sorted(anchors(file))}"


def test_every_document_is_linked_from_the_readme():
    targets = {target.partition("#")[0] for document, target in links() if document == ROOT / "README.md"}
    assert {f"docs/{document.name}" for document in DOCUMENTS if document.parent.name == "docs"} <= targets


# --- PromQL -------------------------------------------------------------------------------------------------------


def test_the_readme_has_promql_and_names_real_labels():
    queries = [block for block in all_blocks("promql") if block.document.name == "README.md"]
    assert len(queries) >= 6
    rows = [row for table in tables(METRICS) for row in table]
    labels = {"consumer", "tenant", "le"} | {row.get("further label") or row.get("label") or "le" for row in rows}
    for query in queries:
        for named in re.findall(r"by \(([^)]*)\)", query.text):
            assert {label.strip() for label in named.split(",")} <= labels, query
