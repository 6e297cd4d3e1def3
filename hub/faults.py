"""
The border that keeps the hub harmless: a fault of the hub is counted, logged once per place, and goes no further.
"""

import logging
from collections import Counter

logger = logging.getLogger("hub")

#: How often something went wrong inside the hub, by place; exported as ``hub_faults_total``.
FAULTS: Counter[str] = Counter()


def record_fault(place: str, error: BaseException) -> None:
    """
    Count a fault and log the first one of its place, with its traceback.

    Args:
        place: Where, as a short constant name; never anything that came from outside.
        error: What was raised.
    """
    FAULTS[place] += 1
    if FAULTS[place] == 1:
        logger.error("Channels Hub: fault in %s (further ones are only counted)", place, exc_info=error)
