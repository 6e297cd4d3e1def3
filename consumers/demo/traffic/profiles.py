"""What the traffic profiles are: how many visitors of which kind, how lively, and what befalls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mishap = Literal["hang_up", "kill", "flood"]


@dataclass(frozen=True, slots=True)
class Wave:
    """
    Something that befalls a share of the connected visitors at the same moment.

    ``hang_up``: they close, and come back within seconds; ``kill``: their TCP connection is cut without a word;
    ``flood``: they send as fast as they can.
    """

    mishap: Mishap
    share: float
    every: float
    """Seconds from one wave to the next."""


@dataclass(frozen=True, slots=True)
class Profile:
    """
    One kind of day. ``visitors``, ``sends_per_second`` and ``handshakes`` are hard limits; durations are seconds.

    A visitor has at most one connection, so there are never more connections than visitors.
    """

    name: str
    visitors: int
    sends_per_second: int
    handshakes: int
    """Handshakes under way at most: a crowd comes no faster than the server lets it in."""
    arrival: float
    """All visitors have come for the first time after this long."""
    visit: float
    """Mean length of a visit."""
    away: float
    """Mean time until a visitor comes back."""
    tempo: float
    """How much quicker than the kind's own rhythm everybody is."""
    kill_share: float
    """Share of visits that end without a close frame."""
    reload_share: float
    """Share of visits after which the visitor is back within two seconds, as after a reload."""
    rooms: int
    """Chat rooms of each tenant: the in-memory layer looks at every channel for every message that it delivers."""
    waves: tuple[Wave, ...] = ()


#: Of every hundred visitors. Few use the sync consumers, as all of these share one thread with every handshake: in
#: a crowd they keep everybody else out. Intruders are those who are turned away, or ought to be.
MIX = {
    "chat": 29, "sleeper": 7, "ticker": 22, "telemetry": 14, "orders": 22, "directory": 2, "reports": 2, "intruder": 2,
}  # fmt: skip

FLOOD_MESSAGES = 200

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="calm",
            visitors=30,
            sends_per_second=200,
            handshakes=10,
            arrival=15,
            visit=90,
            away=10,
            tempo=1.5,
            kill_share=0.05,
            reload_share=0.2,
            rooms=1,
        ),
        Profile(
            name="busy",
            visitors=300,
            sends_per_second=1_000,
            handshakes=20,
            arrival=20,
            visit=60,
            away=6,
            tempo=1.5,
            kill_share=0.1,
            reload_share=0.2,
            rooms=6,
            waves=(Wave("hang_up", share=0.2, every=90), Wave("kill", share=0.05, every=60)),
        ),
        Profile(
            name="storm",
            visitors=2_000,
            sends_per_second=2_000,
            handshakes=40,
            arrival=40,
            visit=45,
            away=4,
            tempo=1,
            kill_share=0.2,
            reload_share=0.2,
            rooms=60,
            waves=(
                Wave("hang_up", share=0.3, every=45),
                Wave("kill", share=0.2, every=30),
                Wave("flood", share=0.01, every=20),
            ),
        ),
    )
}


def headcounts(visitors: int) -> dict[str, int]:
    """Share out the visitors by the mix, at least one of each kind as long as there are enough."""
    counts = {kind: max(1, visitors * share // 100) for kind, share in MIX.items()}
    counts["chat"] += visitors - sum(counts.values())
    return counts
