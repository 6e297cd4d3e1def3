"""Open files: each connection takes one, at either end."""

from __future__ import annotations

import resource

#: What a process needs beside its connections.
RESERVE = 200


def allow_connections(wanted: int) -> int:
    """
    Raise this process's limit of open files as far as ``wanted`` connections need and the system lets it.

    Returns:
        How many connections there is room for, at most ``wanted``. Child processes inherit the limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVE
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVE))
