"""
False flags: how many of many healthy clients are ever called slow while a storm rages.

Episodes are counted as Prometheus is told of them, `ws_slow_episodes_total`. Each is one connection's, so that there
are at least as many as clients that were ever flagged; those of the process as a whole are shown, and not counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from benchmarks import figures
from benchmarks.apps import Side
from benchmarks.children import Child
from benchmarks.figures import Measurement, Row, Spread, Verdict
from benchmarks.machine import Machine
from benchmarks.scrape import FORMATS, HUB_PATH
from benchmarks.servers import Server, ServerKind, start_server
from consumers.demo.traffic.limits import allow_connections
from hub.core.slowness import CAUSES, LOOP, SYNC_THREAD

EPISODES = "ws_slow_episodes_total"


@dataclass(frozen=True, slots=True)
class Storm:
    """
    What one storm came to.

    Attributes:
        episodes: That have opened, by cause.
        did: What clients did, by name.
        delay: The longest delay of the server's event loop, in seconds.
        pause: That of the clients' process, in seconds: nobody reads then, whatever comes.
    """

    episodes: Counter[str]
    did: Counter[str]
    delay: float
    pause: float

    @property
    def flagged(self) -> int:
        """Episodes of connections."""
        return sum(number for cause, number in self.episodes.items() if cause not in (LOOP, SYNC_THREAD))


def measure_flags(kinds: Sequence[ServerKind], machine: Machine, clients: int, seconds: float) -> Measurement:
    """
    Let a storm rage on each server.

    Args:
        clients: How many, if this machine lets a process have so many connections.
        seconds: How long.
    """
    held = allow_connections(clients)
    measurement = Measurement(f"flags: {held:,} healthy clients in a storm of {seconds:g} s")
    for kind in kinds:
        storm = _rage(kind, machine, held, seconds)
        measurement.rows.append(_make_row(kind, storm, seconds))
        flagged = Spread.over([100 * storm.flagged / held])
        measurement.verdicts.append(Verdict(figures.FLAGS, f"{kind}, {held:,} clients", flagged))
    if held < clients:
        measurement.notes.append(f"{clients:,} were wanted; this machine's limit of open files has room for {held:,}.")
    measurement.notes.append(
        "Half plain, half speaking control frames; all of them read whatever comes at once, but for the pause of their "
        "own process. Flags are episodes of connections, by cause; loop and sync_thread are the process's."
    )
    return measurement


def _rage(kind: ServerKind, machine: Machine, clients: int, seconds: float) -> Storm:
    with start_server(kind, Side.MONITORED, machine.server_core) as server:
        arguments = (f"--clients={clients}", f"--seconds={seconds}", f"--address={server.address('echo')}")
        with Child("benchmarks.storm", f"--core={machine.client_core}", *arguments) as child:
            if (connected := child.read()["connected"]) != clients:
                raise RuntimeError(f"{connected} of {clients} clients were let in")
            # Whoever had to wait at the door of a server that lets in thousands is no healthy client yet.
            before = _read_episodes(server)
            server.read_delay()
            did = child.ask()
            delay = server.read_delay()
            episodes = _read_episodes(server) - before
            child.ask()
    return Storm(episodes, Counter(did), delay, did["pause"])


def _read_episodes(server: Server) -> Counter[str]:
    """Episodes that have opened, by cause."""
    episodes: Counter[str] = Counter()
    for family in text_string_to_metric_families(server.get(HUB_PATH, Accept=FORMATS["text"]).decode()):
        for sample in family.samples:
            if sample.name == EPISODES:
                episodes[sample.labels["cause"]] += int(sample.value)
    return episodes


def _make_row(kind: ServerKind, storm: Storm, seconds: float) -> Row:
    did = storm.did
    cells: dict[str, str | Spread] = {
        "server": kind,
        "messages/s": f"{did['echoed'] / seconds:,.0f}",
        "came back": f"{did['opened']:,}" + (f" ({did['failed']:,} kept out)" if did["failed"] else ""),
        "hung up, cut, flooded": f"{did['hang_up']:,}, {did['kill']:,}, {did['flood']:,}",
        "longest pause ms": f"server {storm.delay * 1e3:.0f}, clients {storm.pause * 1e3:.0f}",
        "flags": str(storm.flagged),
    }
    return Row(cells | {cause: str(storm.episodes[cause]) for cause in CAUSES if cause != "layer"})
