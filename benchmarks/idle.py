"""
What watchdog and lookout cost an idle process.

The verdict is on their own time (`benchmarks.own_time`). Beside it stands the processor time of the whole process, and
of another one without slow detection in the same seconds: that has all in it, but its difference is one of two noisy
figures, each many times as large.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter, sleep

from benchmarks import figures
from benchmarks.apps import Side
from benchmarks.detectors import Without, as_argument
from benchmarks.figures import Measurement, Row, Spread, Verdict
from benchmarks.load import LoadClient
from benchmarks.machine import Machine
from benchmarks.servers import OWN_TIME, Server, ServerKind, start_server

#: What a process does only once is over by then: imports of the first connection, buffers, caches.
WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Shares:
    """Of one core within the same seconds, in percent."""

    watchdog: float
    lookout: float
    process: float
    without: float

    @property
    def both(self) -> float:
        return self.watchdog + self.lookout


def measure_idle(
    kinds: Sequence[ServerKind], machine: Machine, connections: int, seconds: float, rounds: int, client: LoadClient
) -> Measurement:
    """
    Measure what watchdog and lookout take while nothing happens.

    Args:
        connections: Idle ones of the second half; the first has none.
        seconds: Of each round; the lookout looks every five seconds, whatever happens.
        rounds: Of each half.
    """
    measurement = Measurement("detectors: watchdog and lookout of an idle process")
    core, without = machine.server_core, as_argument(Without.SLOWNESS)
    for kind in kinds:
        with (
            start_server(kind, Side.MONITORED, core, OWN_TIME) as watched,
            start_server(kind, Side.MONITORED, core, without) as unwatched,
        ):
            for held in (0, connections):
                # At least one has come and gone: the hub's node starts with the first.
                client.hold([server.address("echo") for server in (watched, unwatched) for _ in range(held or 1)])
                if not held:
                    client.release()
                sleep(WARM_UP_SECONDS)
                shares = list(_measure_shares(watched, unwatched, seconds, rounds))
                measurement.rows.append(_make_row(kind, held, shares))
                own = Spread.over([share.both for share in shares])
                measurement.verdicts.append(Verdict(figures.IDLE, f"{kind}, {held:,} connections", own))
            client.release()
    measurement.notes.append(
        "Watchdog: what the kernel says that its thread has run. Lookout: its steps by the clock of the loop's thread, "
        "and for each a turn of the loop that only a timer is for, as it was measured in the same process."
    )
    measurement.notes.append(
        f"The process: processor time of all its threads within {seconds:g} s; without: of another one without slow "
        "detection, in the same seconds. Their difference is noise as long as it is below a tenth of them."
    )
    return measurement


def _measure_shares(watched: Server, unwatched: Server, seconds: float, rounds: int) -> Iterator[Shares]:
    for _ in range(rounds):
        turn = watched.measure_turn()
        own, began = watched.read_own_time(), perf_counter()
        before = [server.read_processor() for server in (watched, unwatched)]
        sleep(seconds)
        after = [server.read_processor() for server in (watched, unwatched)]
        later, passed = watched.read_own_time(), perf_counter() - began
        watchdog, lookout, steps = (later[name] - own[name] for name in ("watchdog", "lookout", "steps"))
        process, without = (busy - busy_before for busy, busy_before in zip(after, before, strict=True))
        yield Shares(
            100e-9 * watchdog / passed,
            100e-9 * (lookout + steps * turn) / passed,
            100 * process / passed,
            100 * without / passed,
        )


def _make_row(kind: ServerKind, connections: int, shares: Sequence[Shares]) -> Row:
    return Row(
        {
            "server": kind,
            "idle connections": f"{connections:,}",
            "watchdog %": Spread.over([share.watchdog for share in shares]),
            "lookout %": Spread.over([share.lookout for share in shares]),
            "the process %": Spread.over([share.process for share in shares]),
            "without %": Spread.over([share.without for share in shares]),
            "difference": Spread.over([share.process - share.without for share in shares]),
        }
    )
