"""
Slowness: from evidence to episodes.

A subject (a connection, or the process itself) is *well* until something about it takes longer than its threshold:
then an episode of that cause is *open*. While the evidence stays above a share of the threshold the episode goes on;
below it the subject is *recovering*, and once it has been so for `CALM` seconds in a row the episode is *closed* for
good. Whoever is slow off and on thus has one long episode. Closed ones stay in the ranked list for `KEPT` seconds.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nlargest

from hub.core.events import Detail

HANDLER, CLIENT, QUEUE, LAYER, LOOP, SYNC_THREAD = "handler", "client", "queue", "layer", "loop", "sync_thread"
#: Why something is slow.
CAUSES = (HANDLER, CLIENT, QUEUE, LAYER, LOOP, SYNC_THREAD)

#: Below this share of its threshold a subject recovers.
RELEASE = 0.5
#: Seconds without interruption that it has to, before its episode is closed.
CALM = 1.0
#: Seconds that a closed episode is shown.
KEPT = 300.0
#: Closed episodes that are remembered.
MAX_CLOSED = 1000
#: The subject of what is not of one connection.
PROCESS = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    How slow something is at one moment.

    Attributes:
        subject: A connection's number, or `PROCESS`.
        seconds: How long it takes, or has taken up to now.
        threshold: More than so many seconds is slow.
        consumer: Whose fault it is; with ``tenant`` and ``connection`` empty where that is not known.
        member: Who is connected there, by id and name; None where that is not known.
        details: What an operator should know; where something waits, above all.
    """

    subject: int
    seconds: float
    threshold: float
    consumer: str = ""
    tenant: str = ""
    connection: str = ""
    member: tuple[str, str] | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Episode:
    """
    From the moment something became slow until it has recovered. Times are monotonic seconds.

    Attributes:
        evidence: That of the worst moment.
        since: When it began; before it could be seen.
        calm_at: Since when it has been recovering without interruption; None while it is slow.
        closed_at: When it was closed; None while it is open.
        details: What is known of it; may be completed after it has opened.
    """

    cause: str
    evidence: Evidence
    since: float
    calm_at: float | None = None
    closed_at: float | None = None
    details: dict[str, Detail] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether it goes on."""
        return self.closed_at is None

    @property
    def worst(self) -> float:
        """The most that it has taken, in seconds."""
        return self.evidence.seconds

    def lasted(self, now: float) -> float:
        """Seconds from its beginning to its end, or to ``now``."""
        end = self.calm_at if self.closed_at is not None and self.calm_at is not None else now
        return end - self.since


class Slowness:
    """The episodes of one process; never two open ones of the same subject and cause."""

    def __init__(self) -> None:
        self._open: dict[str, dict[int, Episode]] = {cause: {} for cause in CAUSES}
        self._closed: deque[Episode] = deque(maxlen=MAX_CLOSED)

    def __iter__(self) -> Iterator[Episode]:
        """All open ones."""
        return (episode for open_ones in self._open.values() for episode in open_ones.values())

    @property
    def well(self) -> bool:
        """Whether none is open."""
        return not any(self._open.values())

    def of(self, cause: str) -> dict[int, Episode]:
        """The open ones of a cause, by subject."""
        return self._open[cause]

    def look(self, cause: str, evidence: Iterable[Evidence], now: float) -> list[Episode]:
        """
        Take all evidence of a cause at one moment; a subject that is not in it is well.

        Returns:
            The episodes that have opened, and those that are closed: `Episode.open` says which.
        """
        open_ones = self._open[cause]
        changed, slow = [], set()
        for one in evidence:
            episode = open_ones.get(one.subject)
            if episode is not None:
                if one.seconds >= RELEASE * one.threshold:
                    slow.add(one.subject)
                    _worsen(episode, one, now)
            elif one.seconds > one.threshold:
                slow.add(one.subject)
                episode = Episode(cause, one, since=now - one.seconds, details=dict(one.details))
                open_ones[one.subject] = episode
                changed.append(episode)
        recovered = [subject for subject in open_ones.keys() - slow if self._recover(open_ones[subject], now)]
        return changed + [self._close(cause, subject, now) for subject in recovered]

    def _recover(self, episode: Episode, now: float) -> bool:
        """It is not slow at the moment. Returns whether that has been so for long enough."""
        if episode.calm_at is None:
            episode.calm_at = now
        return now - episode.calm_at >= CALM

    def _close(self, cause: str, subject: int, now: float) -> Episode:
        episode = self._open[cause].pop(subject)
        episode.closed_at = now
        if episode.calm_at is None:
            episode.calm_at = now
        self._closed.append(episode)
        return episode

    def end(self, subject: int, now: float) -> list[Episode]:
        """A connection is no more, and neither are its episodes. Returns those that are closed by it."""
        return [self._close(cause, subject, now) for cause in CAUSES if subject in self._open[cause]]

    def kept(self) -> list[Episode]:
        """All that are known: the open ones, and those that were closed of late."""
        return [*self, *self._closed]

    def expire(self, now: float) -> None:
        """Forget what was closed long ago."""
        while self._closed and now - (self._closed[0].closed_at or 0.0) > KEPT:
            self._closed.popleft()

    def ranked(self, limit: int) -> list[Episode]:
        """The worst ones: open before closed, then by the most that they have taken."""
        return nlargest(limit, self.kept(), key=lambda episode: (episode.open, episode.worst))


def _worsen(episode: Episode, evidence: Evidence, now: float) -> None:
    episode.calm_at = None
    episode.since = min(episode.since, now - evidence.seconds)
    if evidence.seconds > episode.evidence.seconds:
        episode.evidence = evidence
        if evidence.details:
            episode.details = dict(evidence.details)
