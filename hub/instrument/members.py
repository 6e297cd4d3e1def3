"""
Who is connected, and how long they may be silent: the host's hooks on a consumer, guarded, over sensible defaults.

By default a member is the authenticated user; else the session, by a digest of its key, which must not leave the
process; else the connection by itself.
"""

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from hub.conf import Config
from hub.core.errors import ConfigurationError
from hub.core.ledger import ANONYMOUS, NO_GROUPS, Member
from hub.core.policy import SILENT_INTERVALS, Policy
from hub.faults import record_fault

#: Hexadecimal digits of a digest: 80 bits.
DIGITS = 20
#: Longest interval and time-out of a class, in seconds, as of the settings.
MAX_SECONDS = 86_400

#: The type of the channel-layer message that tells of joins and leaves, and the alias of the layer that carries it,
#: by the label of the consumer class.
MESSAGES: dict[str, tuple[str, str]] = {}


# --- who ----------------------------------------------------------------------------------------------------------


def member_of(consumer: Any) -> tuple[Member, frozenset[str]]:  # noqa: ANN401 - any host's class
    """Who a consumer with the mixin serves, and in which presence groups; a fault of the host's never gets further."""
    given = _asked("get_hub_member", consumer.get_hub_member)
    name = _asked("get_hub_member_name", consumer.get_hub_member_name)
    groups = _asked("get_hub_presence_groups", lambda: _groups(consumer.get_hub_presence_groups()))
    if not given or name is None:
        known, known_name = member_of_scope(getattr(consumer, "scope", None))
        given, name = given or known, known_name if name is None else name
    return (str(given), str(name)), groups or NO_GROUPS


def _asked(place: str, rule: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the host's rule says
    try:
        return rule()
    except Exception as error:  # noqa: BLE001 - the border: the host's rule must not end a connection
        record_fault(place, error)
        return None


def _groups(given: Any) -> frozenset[str]:  # noqa: ANN401 - what the host's rule says
    if isinstance(given, (str, bytes)):
        raise TypeError(f"presence groups are an iterable of names, not the one name {given!r}")
    return frozenset(str(name) for name in given or ())


def member_of_scope(scope: Any) -> Member:  # noqa: ANN401 - ASGI
    """Who is connected, by what the middleware has put into the scope."""
    known: Member | None = _asked("default member", lambda: _user_of(scope) or _session_of(scope))
    # Of this connection alone; and not by its number, which other processes give too.
    return known or (f"{ANONYMOUS}{secrets.token_hex(DIGITS // 2)}", "")


def _user_of(scope: Any) -> Member | None:  # noqa: ANN401 - ASGI
    user = scope.get("user") if scope else None
    if user is None or not getattr(user, "is_authenticated", False) or user.pk is None:
        return None
    return str(user.pk), str(user.get_username())


def _session_of(scope: Any) -> Member | None:  # noqa: ANN401 - ASGI
    session = scope.get("session") if scope else None
    key = getattr(session, "session_key", None)
    return (f"session:{sha256(str(key).encode()).hexdigest()[:DIGITS]}", "") if key else None


# --- how long they may be silent ----------------------------------------------------------------------------------


def check_class(cls: Any) -> None:  # noqa: ANN401 - a class with the mixin
    """
    Check what a consumer class says about presence by itself.

    Raises:
        ConfigurationError: It can't be, whatever the settings say.
    """
    name = cls.__qualname__
    for attribute in ("hub_heartbeat_interval", "hub_presence_timeout"):
        value = getattr(cls, attribute)
        if value is not None and not _is_seconds(value):
            raise ConfigurationError(
                f"{name}: {attribute} is {value!r}; give a number of seconds above 0, {MAX_SECONDS} at most, or None"
            )
    interval, timeout = cls.hub_heartbeat_interval, cls.hub_presence_timeout
    if None not in (interval, timeout) and timeout < SILENT_INTERVALS * interval:
        raise ConfigurationError(
            f"{name}: hub_presence_timeout of {timeout:g} s is less than two times the hub_heartbeat_interval of"
            f" {interval:g} s; give at least {SILENT_INTERVALS * interval:g} s"
        )
    if isinstance(cls.hub_presence_groups, (str, bytes)):
        raise ConfigurationError(
            f"{name}: hub_presence_groups is {cls.hub_presence_groups!r}; write ({cls.hub_presence_groups!r},)"
        )
    if cls.hub_presence_message is not None:
        MESSAGES[cls._hub_label] = (cls.hub_presence_message, getattr(cls, "channel_layer_alias", "default"))
    cls._hub_policy = None


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS


def policy_of(cls: Any, settings: Config) -> Policy:  # noqa: ANN401 - a class with the mixin
    """The policy of a consumer class; that of the settings where the two contradict each other."""
    known: tuple[Config, Policy] | None = cls._hub_policy
    if known is None or known[0] is not settings:
        known = cls._hub_policy = (settings, _resolved(cls, settings))
    return known[1]


def _resolved(cls: Any, settings: Config) -> Policy:  # noqa: ANN401 - a class with the mixin
    try:
        return own_policy(cls, settings)
    except ConfigurationError as error:
        record_fault("presence policy", error)
        return policy_of_settings(settings)


def own_policy(cls: Any, settings: Config) -> Policy:  # noqa: ANN401 - a class with the mixin
    """
    The policy that a consumer class asks for, together with the settings.

    Raises:
        ConfigurationError: The two contradict each other.
    """
    interval, timeout = cls.hub_heartbeat_interval, cls.hub_presence_timeout
    return Policy(
        interval=settings.heartbeat_interval if interval is None else interval,
        timeout=settings.presence_timeout if timeout is None else timeout,
        grace=settings.presence_grace,
    )


def policy_of_settings(settings: Config) -> Policy:
    """The policy of whoever has none of its own."""
    return Policy(settings.heartbeat_interval, settings.presence_timeout, settings.presence_grace)
