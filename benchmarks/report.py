"""The report of a run: as text for people, as JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.figures import Measurement, Spread, Verdict
from benchmarks.machine import Machine

Cells = Sequence[str]


def render_machine(machine: Machine) -> str:
    """Say where the run takes place and with what."""
    same = " (the same: figures are worth little)" if machine.server_core == machine.client_core else ""
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return "\n".join(
        [
            f"{machine.python} on {machine.system}; {machine.processor}",
            f"{machine.cores} cores; servers on core {machine.server_core}, load on core {machine.client_core}{same}",
            f"load average {machine.load_average:.2f} before the run; others on these cores spoil absolute figures",
            packages,
        ]
    )


def render_measurement(measurement: Measurement) -> str:
    """Show one measurement's table: medians, with lowest and highest round in brackets."""
    lines = ["", measurement.title, "=" * len(measurement.title)]
    if measurement.rows:
        columns = list(measurement.rows[0].cells)
        rows = [[_render_cell(row.cells[column]) for column in columns] for row in measurement.rows]
        lines.extend(_render_table(columns, rows))
    lines.extend(f"  {note}" for note in measurement.notes)
    return "\n".join(lines)


def render_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Show every target beside what was measured."""
    rows = [
        [
            verdict.target.what,
            verdict.where,
            f"{verdict.target.bound} {verdict.target.limit:g} {verdict.target.unit}",
            _render_cell(verdict.measured),
            "met" if verdict.met else "MISSED",
        ]
        for verdict in verdicts
    ]
    lines = ["", "Against the design's targets", "============================"]
    return "\n".join([*lines, *_render_table(["what", "where", "target", "measured", ""], rows)])


def make_json(machine: Machine, options: dict[str, Any], measurements: Sequence[Measurement]) -> str:
    """Everything the text report shows, for programs. Spreads are objects of median, low and high."""
    verdicts = [verdict for measurement in measurements for verdict in measurement.verdicts]
    report = {
        "machine": asdict(machine),
        "options": options,
        "measurements": [
            {
                "title": measurement.title,
                "rows": [asdict(row)["cells"] for row in measurement.rows],
                "notes": measurement.notes,
            }
            for measurement in measurements
        ],
        "verdicts": [{**asdict(verdict), "met": verdict.met} for verdict in verdicts],
    }
    return json.dumps(report, indent=2) + "\n"


def _render_cell(cell: str | Spread) -> str:
    if isinstance(cell, str):
        return cell
    if cell.low == cell.high:
        return _render_number(cell.median)
    return f"{_render_number(cell.median)} ({_render_number(cell.low)}-{_render_number(cell.high)})"


def _render_number(number: float) -> str:
    """Three significant figures, without exponents."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def _render_table(columns: Cells, rows: Sequence[Cells]) -> Iterator[str]:
    widths = [max(len(cells[index]) for cells in (columns, *rows)) for index in range(len(columns))]
    yield _render_line(columns, widths)
    yield _render_line(["-" * width for width in widths], widths)
    for row in rows:
        yield _render_line(row, widths)


def _render_line(cells: Cells, widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
