"""Memory of an idle connection: what 8,000 open ones add to a fresh server, bare and monitored."""

from collections.abc import Sequence

from benchmarks import figures
from benchmarks.apps import Side
from benchmarks.figures import Measurement, Row, Spread, Verdict
from benchmarks.load import LoadClient
from benchmarks.machine import Machine
from benchmarks.servers import ServerKind, start_server

SIDES = (Side.BARE, Side.MONITORED)
WARM_UP = 100


def measure_memory(
    kinds: Sequence[ServerKind], machine: Machine, connections: int, rounds: int, client: LoadClient
) -> Measurement:
    """Compare the resident size per connection; each figure comes from a server of its own."""
    measurement = Measurement(f"memory: {connections:,} idle connections")
    for kind in kinds:
        sizes: dict[Side, list[float]] = {side: [] for side in SIDES}
        for number in range(rounds):
            for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                sizes[side].append(_measure_side(kind, side, machine, connections, client))
        measurement.rows.extend(
            Row({"server": kind, "side": side, "bytes per connection": Spread.over(sizes[side])}) for side in SIDES
        )
        added = [more - less for more, less in zip(sizes[Side.MONITORED], sizes[Side.BARE], strict=True)]
        measurement.verdicts.append(Verdict(figures.MEMORY, f"{kind}, {connections:,} connections", Spread.over(added)))
    measurement.notes.append("Resident size after a garbage collection; every connection has echoed one frame.")
    return measurement


def _measure_side(kind: ServerKind, side: Side, machine: Machine, connections: int, client: LoadClient) -> float:
    with start_server(kind, side, machine.server_core) as server:
        address = server.address("echo")
        client.hold([address] * WARM_UP)
        client.release()
        before = server.read_memory()
        client.hold([address] * connections)
        after = server.read_memory()
        client.release()
    return (after - before) / connections
