"""
Settings: ``settings.HUB`` over environment variables over defaults, as one frozen, validated object.

Together with ``hub/settings.py`` this is all that reads the environment. A wrong value never stops the host:
its default is used and a system check (`hub.checks`) names the key, the value and the remedy.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.request import getproxies, proxy_bypass

import msgspec
from django.utils.module_loading import import_string
from msgspec import Meta, Struct

from hub.core.policy import SILENT_INTERVALS

Seconds = Annotated[float, Meta(gt=0, le=86_400, extra={"unit": "seconds"})]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
ReadAhead = Annotated[int, Meta(ge=1, le=4096)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 34, extra={"unit": "bytes"})]
Grace = Annotated[float, Meta(ge=0, le=600, extra={"unit": "seconds"})]
Days = Annotated[float, Meta(gt=0, le=3650, extra={"unit": "days"})]
Milliseconds = Annotated[float, Meta(gt=0, le=3_600_000, extra={"unit": "ms"})]
Path = Annotated[str, Meta(pattern=r"^/[A-Za-z0-9/_.-]*$", max_length=200)]
Page = Annotated[str, Meta(pattern=r"^https?://[^\s\"'<>`{}|\\^]+$", max_length=500)]
#: What stands in place of a value that the environment has: ``env:SLACK_WEBHOOK_URL``.
FROM_ENVIRONMENT = "env:"


def _setting(help_text: str, *, env: str | None = None) -> Meta:
    return Meta(description=help_text, extra_json_schema={"env": env} if env else None)


class Receivers(dict[str, Any]):
    """Receivers by name, with what stands in the environment filled in. Its ``repr`` shows no more than the names."""

    def __repr__(self) -> str:
        return f"<receivers {', '.join(map(repr, self))}>" if self else "{}"


class Config(Struct, frozen=True, kw_only=True, rename="upper"):
    """Everything that can be set. Each key ``K`` is ``settings.HUB["K"]`` or the variable ``HUB_K``."""

    enabled: Annotated[bool, _setting("Off: mixin and wrapper add nothing, the doors are closed.")] = True
    inbox: Annotated[bool, _setting("Off: consumers run in Channels' own dispatch loop.")] = True
    inbox_messages: Annotated[ReadAhead, _setting("Client messages read ahead per connection.")] = 64
    inbox_bytes: Annotated[Bytes, _setting("Client bytes read ahead per connection.")] = 1 << 20
    sweep: Annotated[bool, _setting("Off: old database connections are swept before every dispatch.")] = True
    sweep_interval: Annotated[Seconds, _setting("Longest time between two sweeps while connections exist.")] = 1.0
    tenant: Annotated[str | None, _setting("Dotted path of a callable that takes the scope, returns the tenant.")] = (
        None
    )
    control_frames: Annotated[bool, _setting("Off: our client library is served as any plain client is.")] = True
    presence: Annotated[bool, _setting("Off: nobody's presence is kept.")] = True
    heartbeat_interval: Annotated[
        Seconds, _setting("How often our client library gives a sign of life.", env="WEBSOCKET_HEARTBEAT_INTERVAL")
    ] = 30.0
    presence_timeout: Annotated[
        Seconds, _setting("Silence after which a member is offline (plain clients: idle); at least two intervals.")
    ] = 300.0
    presence_grace: Annotated[Grace, _setting("How long a member stays after the last clean close.")] = 5.0
    presence_groups: Annotated[
        str | None, _setting("Dotted path of a callable (scope, group): may it watch that group at /ws/presence/?")
    ] = None
    slow_detection: Annotated[bool, _setting("Off: nobody looks for what is slow.")] = True
    slow_threshold_ms: Annotated[
        Milliseconds, _setting("What takes longer is slow.", env="WEBSOCKET_SLOW_CONSUMER_THRESHOLD_MS")
    ] = 500.0
    slow_members: Annotated[bool, _setting("On: events and rows of slowness say who is connected, by id and name.")] = (
        False
    )
    layers: Annotated[bool, _setting("Off: channel layers stay as they are configured.")] = True
    rejoin_groups: Annotated[
        bool, _setting("On: a live connection that its channel layer lets fall out of a group is put back.")
    ] = False
    events_per_second: Annotated[Count, _setting("Events of one kind sent one by one in a second.")] = 20
    event_retention: Annotated[Count, _setting("Events kept for operators that resume.")] = 10_000
    event_retention_seconds: Annotated[Seconds, _setting("How long events are kept.")] = 3600.0
    history_bytes: Annotated[Bytes, _setting("Memory for the history of one process.")] = 64 << 20
    alerts: Annotated[bool, _setting("Off: no rule is evaluated and nobody is told.")] = True
    alert_retention_days: Annotated[Days, _setting("How long alerts, messages and what operators did are kept.")] = 30.0
    rules: Annotated[
        dict[str, Any], _setting("Alert rules by name: changes to the pack's, false to turn one off, or own ones.")
    ] = {}
    receivers: Annotated[
        dict[str, Any], _setting("Who is told of alerts, by name; a value 'env:NAME' is a variable's.")
    ] = Receivers()
    routes: Annotated[list[Any], _setting("Which alerts each receiver is told of, in order; none: by severity.")] = []
    last_resort: Annotated[
        tuple[str, ...] | None, _setting("Receivers of alerts that no route fits; default all but pagers.")
    ] = None
    maintenance: Annotated[list[Any], _setting("Hours in which nobody is told of some alerts.")] = []
    inhibitions: Annotated[list[Any], _setting("Which alerts explain others, besides the pack's own.")] = []
    page_url: Annotated[Page | None, _setting("Address of the operator page, for links in messages.")] = None
    runbooks: Annotated[
        Page | None, _setting("Address of notes with a heading for each rule, in place of the hub's own.")
    ] = None
    site_name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100)], _setting("What messages call this deployment.")
    ] = "Channels Hub"
    feed_path: Annotated[Path, _setting("Path of the operator feed, as the page's browser sees it.")] = "/ws/ops/"
    feed_heartbeat: Annotated[Seconds, _setting("Longest silence of the operator feed.")] = 10.0
    feed_rights_interval: Annotated[Seconds, _setting("How often an operator's rights are checked again.")] = 15.0
    feed_buffer_bytes: Annotated[Bytes, _setting("Unsent bytes at which an operator counts as slow.")] = 1 << 20
    feed_buffer_events: Annotated[Count, _setting("Unsent events at which a slow operator is closed.")] = 1000
    feed_clients: Annotated[Count, _setting("Operators connected to one process at most.")] = 500
    allowed_origins: Annotated[
        tuple[str, ...] | None, _setting("Origins that may open the feed with a cookie; default ALLOWED_HOSTS.")
    ] = None
    prometheus: Annotated[bool, _setting("Off: the metrics page answers 404.", env="ENABLE_PROMETHEUS")] = True
    metrics_path: Annotated[Path, _setting("Path of the metrics page.", env="PROMETHEUS_METRICS_PATH")] = "/metrics"
    metrics_token: Annotated[
        Annotated[str, Meta(min_length=16)] | None, _setting("Bearer token that opens the metrics page.")
    ] = None
    metrics_networks: Annotated[
        tuple[str, ...], _setting("Networks that may scrape without a token, unless forwarded.")
    ] = ("127.0.0.0/8", "::1/128")
    tenant_labels: Annotated[Count, _setting("Tenants with labels of their own in Prometheus.")] = 200
    type_labels: Annotated[Count, _setting("Message types with labels of their own.")] = 50


@dataclass(frozen=True)
class Problem:
    """A setting that can't be used: where it stands, its value, what is wrong and the remedy."""

    key: str
    message: str
    hint: str
    unknown_key: bool = False


def environment_name(field: str) -> str:
    """The environment variable of a field of `Config`."""
    schema = msgspec.json.schema_components([Config])[1]["Config"]["properties"][field.upper()]
    return str(schema.get("env") or f"HUB_{field.upper()}")


ENVIRONMENT = {name: environment_name(name) for name in Config.__struct_fields__}
_PREFIX = "HUB_"
#: From 0 to 1: how alike two names are of which one may be meant for the other.
_RESEMBLING = 0.85
#: Variables that make a receiver each where ``RECEIVERS`` is not given: its kind, and which of its options they are.
RECEIVER_VARIABLES = {"SLACK_WEBHOOK_URL": ("slack", "url"), "PAGERDUTY_ROUTING_KEY": ("pagerduty", "routing_key")}
#: Settings that may hold what nobody should read.
_HIDDEN = ("metrics_token", "receivers")
#: What a switch may say in the environment.
_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_TYPES = {field.name: field.type for field in msgspec.structs.fields(Config)}


def read(given: object, environ: Mapping[str, str]) -> tuple[Config, list[Problem]]:
    """
    Validate settings.

    Args:
        given: ``settings.HUB``.
        environ: The process's environment.

    Returns:
        The configuration with defaults in place of what can't be used, and what can't be used.
    """
    if not isinstance(given, Mapping):
        problem = Problem("HUB", f"settings.HUB is {given!r}, not a dictionary", "Write HUB = {'ENABLED': True}.")
        given, problems = {}, [problem]
    else:
        problems = [_unknown(key) for key in given if str(key).lower() not in _TYPES or key != str(key).upper()]
    values: dict[str, Any] = {}
    for name in _TYPES:
        if name.upper() in given:
            place, value = f"HUB[{name.upper()!r}]", given[name.upper()]
        elif ENVIRONMENT[name] in environ:
            place, value = ENVIRONMENT[name], _from_text(name, environ[ENVIRONMENT[name]])
        elif name == "receivers":
            place, value = "HUB['RECEIVERS']", _named_receivers(environ)
        else:
            continue
        try:
            values[name] = _convert(name, value)
            if name == "receivers":
                values[name] = Receivers(_filled(values[name], environ))
        except (msgspec.ValidationError, ValueError) as error:
            problems.append(_invalid(place, name, value, str(error)))
    problems += _contradictions(values)
    return Config(**values), problems


def misnamed(environ: Mapping[str, str]) -> list[Problem]:
    """
    Variables that look like one of the hub's and are none: nobody reads them.

    Others may have variables that begin alike; so only what resembles one of ours is told.
    """
    known = set(ENVIRONMENT.values())
    problems = []
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name in known:
            continue
        meant = ENVIRONMENT.get(name.removeprefix(_PREFIX).lower())
        close = [meant] if meant else get_close_matches(name, known, n=1, cutoff=_RESEMBLING)
        if close:
            message = f"The environment variable {name} is none of the hub's: nobody reads it"
            problems.append(Problem(name, message, f"Did you mean {close[0]}? Rename it, or remove it."))
    return problems


def _named_receivers(environ: Mapping[str, str]) -> dict[str, Any]:
    """The receivers of those who name none: one for each variable that is known everywhere."""
    return {
        kind: {"type": kind, option: f"{FROM_ENVIRONMENT}{name}"}
        for name, (kind, option) in RECEIVER_VARIABLES.items()
        if environ.get(name, "").strip()
    }


def _filled(value: Any, environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """A value with the environment's in place of ``env:NAME``; what the environment has not stays as it is."""
    if isinstance(value, Mapping):
        return {key: _filled(one, environ) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, environ) for one in value]
    if isinstance(value, str) and value.startswith(FROM_ENVIRONMENT):
        return environ.get(value.removeprefix(FROM_ENVIRONMENT), "").strip() or value
    return value


def _contradictions(values: dict[str, Any]) -> list[Problem]:
    """Values that can't be used together: none of them is used."""
    names = ("heartbeat_interval", "presence_timeout")
    interval, timeout = (values.get(name, getattr(Config(), name)) for name in names)
    if timeout >= SILENT_INTERVALS * interval:
        return []
    for name in names:
        values.pop(name, None)
    places = f"HUB['PRESENCE_TIMEOUT'] ({ENVIRONMENT['presence_timeout']})"
    least = SILENT_INTERVALS * interval
    message = f"{places} is {timeout:g}, less than two heartbeat intervals of {interval:g} seconds"
    shorter = f"HUB['HEARTBEAT_INTERVAL'] ({ENVIRONMENT['heartbeat_interval']})"
    hint = f"Give at least {least:g} seconds, or a shorter {shorter}."
    return [Problem("HUB['PRESENCE_TIMEOUT']", message, hint)]


def _from_text(name: str, text: str) -> object:
    """An environment variable as what `_convert` takes: lists are separated by commas, nothing means none."""
    kind = str(_TYPES[name])
    if "tuple" in kind and (text.strip() or "None" not in kind):
        return [part.strip() for part in text.split(",") if part.strip()]
    if "dict" in kind or "list" in kind:
        return _from_json(text) if text.strip() else {} if "dict" in kind else []
    if "bool" in kind:
        return _SWITCHES.get(text.strip().lower(), text)
    return text if text.strip() else None


def _from_json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _convert(name: str, value: object) -> object:
    if isinstance(value, bool) and "bool" not in str(_TYPES[name]):
        raise ValueError("Expected a number or text, got a boolean")
    converted = msgspec.convert(value, _TYPES[name], strict=not isinstance(value, str))
    if name == "metrics_networks":
        for network in converted:
            ip_network(network)
    if name in ("tenant", "presence_groups") and converted is not None:
        _callable(converted)
    return converted


def _callable(path: str) -> object:
    try:
        found = import_string(path)
    except ImportError as error:
        raise ValueError(str(error)) from error
    if not callable(found):
        raise ValueError(f"{path} is not callable")  # noqa: TRY004 - one kind of error for a wrong value
    return found


def _unknown(key: object) -> Problem:
    hint = "Known keys: " + ", ".join(sorted(name.upper() for name in _TYPES)) + "."
    return Problem(f"HUB[{key!r}]", f"settings.HUB has an unknown key {key!r}", hint, unknown_key=True)


def _invalid(place: str, name: str, value: object, reason: str) -> Problem:
    shown = "a hidden value" if name in _HIDDEN else repr(value)
    field_type = str(_TYPES[name])
    remedy = f"The default is {getattr(Config(), name)!r}."
    if "bool" in field_type:
        remedy = f"Write True or False, in the environment 1 or 0; the default is {getattr(Config(), name)}."
    elif "dict" in field_type:
        remedy = "Write a dictionary by name, in the environment as JSON; the default is empty."
    elif "list" in field_type:
        remedy = "Write a list of dictionaries, in the environment as JSON; the default is empty."
    elif "seconds" in field_type:
        remedy = (
            f"Give a number of seconds between 0 and {_TYPES[name].__metadata__[0].le}, without a unit; the default is"
            f" {getattr(Config(), name)}."
        )
    elif "'days'" in field_type:
        remedy = f"Give a number of days between 0 and 3650; the default is {getattr(Config(), name):g}."
    elif "'ms'" in field_type:
        remedy = f"Give a number of milliseconds, without a unit; the default is {getattr(Config(), name)}."
    elif "bytes" in field_type:
        remedy = f"Give a number of bytes of at least 1024, without a unit; the default is {getattr(Config(), name)}."
    return Problem(place, f"{place} is {shown}: {reason}", remedy)


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy through which this machine reaches a host, as ``HTTPS_PROXY`` and ``NO_PROXY`` say; None: none."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


def misnamed_variables() -> list[Problem]:
    """Those of this process's environment."""
    return misnamed(os.environ)


@cache
def config() -> Config:
    """The configuration of this process. `config.cache_clear()` makes a change of settings known (tests do)."""
    return problems_and_config()[0]


def problems_and_config() -> tuple[Config, list[Problem]]:
    """Read Django's settings and the environment anew."""
    from django.conf import settings  # noqa: PLC0415 - settings may be configured after this module is imported

    return read(getattr(settings, "HUB", {}), os.environ)
