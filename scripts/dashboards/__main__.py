"""
``python -m scripts.dashboards``: write, or check, the dashboards in ``deploy/grafana/dashboards``.

Grafana's own typed SDK writes them; what they show stands in `scripts.dashboards.boards`.
"""

# ruff: noqa: T201 - a script may print

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from scripts.dashboards.boards import BOARDS
from scripts.dashboards.panels import HEATMAP, NUMBER, TABLE, Board, Panel

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"
TAG = "channels-hub"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHTS = {NUMBER: 4}
HEIGHT = 8
#: Labels that some series don't have, so that a list of their values would not pick all.
MAY_BE_EMPTY = ("consumer", "tenant")
#: What a panel's description begins with that shows nothing while all is well.
TROUBLE = "Empty unless "

AnyPanel = timeseries.Panel | stat.Panel | table.Panel | heatmap.Panel


def main() -> int:
    """Write the files, or say which are out of date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.dashboards", description="Write Grafana's dashboards.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to (default: deploy/grafana)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    options = parser.parse_args()
    folder: Path = options.folder
    files = {folder / f"{board.uid}.json": rendered(board) for board in BOARDS}
    if options.check:
        stale = [file for file, text in files.items() if not file.is_file() or file.read_text() != text]
        stale += sorted(set(folder.glob("*.json")) - files.keys())
        for file in stale:
            print(f"{file} is out of date: run python -m scripts.dashboards", file=sys.stderr)
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        file.write_text(text)
    return 0


def rendered(board: Board) -> str:
    """A dashboard as the file that Grafana reads."""
    return JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False).encode(built(board).build()) + "\n"


def built(board: Board) -> dashboard.Dashboard:
    """A dashboard."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags([TAG])
        .timezone(common.TimeZoneBrowser)
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("10s")
        .link(
            dashboard.DashboardLink("Channels Hub")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .keep_time(keep_time=True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(variable("job", "label_values(hub_info, job)"))
        .with_variable(variable("instance", 'label_values(hub_info{job=~"$job"}, instance)'))
    )
    for name, query in board.variables.items():
        made.with_variable(variable(name, query))
    made.annotation(alerts())
    numbers = itertools.count(1)
    for title, panels in board.rows.items():
        made.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            made.with_panel(shown(panel).id(next(numbers)))
    return made


def variable(name: str, query: str) -> dashboard.QueryVariable:
    """A variable by which series are picked, all of them to begin with."""
    made = (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )
    return made.all_value(".*") if name in MAY_BE_EMPTY else made


def alerts() -> dashboard.AnnotationQuery:
    """The hub's alerts, drawn into every panel."""
    return (
        dashboard.AnnotationQuery()
        .name("Alerts")
        .datasource(SOURCE)
        .enable(enable=True)
        .icon_color("red")
        .expr('ALERTS{alertname=~"Hub.+", alertstate="firing"}')
    )


def shown(panel: Panel) -> AnyPanel:
    """A panel."""
    made = _of_kind(panel).title(panel.title).datasource(SOURCE).unit(panel.unit)
    made = made.span(panel.width).height(HEIGHTS.get(panel.kind, HEIGHT))
    about = [f"{TROUBLE}{panel.trouble}."] if panel.trouble else []
    if about or panel.about:
        made = made.description(" ".join([*about, panel.about]).rstrip())
    if panel.trouble:
        made = made.no_value("none")
    if panel.repeat:
        made = made.repeat(panel.repeat).repeat_direction("h")
    for number, (legend, query) in enumerate(panel.queries.items()):
        made = made.with_target(_target(panel.kind, chr(ord("A") + number), legend, query))
    return made


def _of_kind(panel: Panel) -> AnyPanel:
    if panel.kind == NUMBER:
        reduced = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
        return stat.Panel().reduce_options(reduced).graph_mode(common.BigValueGraphMode.AREA)
    if panel.kind == TABLE:
        return table.Panel()
    if panel.kind == HEATMAP:
        return heatmap.Panel()
    legend = (
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    return timeseries.Panel().legend(legend).tooltip(tooltip).fill_opacity(10).min(0)


def _target(kind: str, name: str, legend: str, query: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(name).datasource(SOURCE).expr(query)
    if kind == TABLE:
        return target.instant().format(PromQueryFormat.TABLE)
    if kind == HEATMAP:
        target = target.format(PromQueryFormat.HEATMAP)
    return target.range().legend_format(legend)


if __name__ == "__main__":
    raise SystemExit(main())
