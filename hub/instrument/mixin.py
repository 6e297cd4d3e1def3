"""
The mixin that a team adds to its consumers; it must come first in the bases.

It runs the consumer in the hub's inbox where the next ``__call__`` is Channels' own; otherwise, or when switched
off, it wraps ``receive`` and ``send`` and leaves the loop to whoever owns it. Either way the consumer's handlers
see what they would see without it.
"""

import functools
from collections.abc import Awaitable, Iterable
from typing import Any, ClassVar

from asgiref.sync import async_to_sync
from channels.consumer import AsyncConsumer, get_handler_name
from channels.exceptions import StopConsumer
from channels.layers import get_channel_layer

from hub.conf import Config
from hub.core.errors import ConfigurationError
from hub.core.ledger import Connection
from hub.core.policy import Policy
from hub.faults import record_fault
from hub.instrument import members
from hub.instrument.control import ControlFrames, take_parameter_of
from hub.instrument.delivery import record_end
from hub.instrument.inbox import Inbox, Message, Send, kind_of
from hub.instrument.layers.losses import CONNECTION
from hub.instrument.numbers import Numbers
from hub.instrument.observer import SCOPE_KEY, Observer, TypeOf
from hub.instrument.passage import straight
from hub.instrument.state import Instruments, instruments
from hub.instrument.sweep import Sweep
from hub.instrument.tenants import tenant_of_scope
from hub.instrument.types import TypeNames, watch_json


@functools.cache
def shared_sweep(interval: float) -> Sweep:
    """The sweep of this process."""
    return Sweep(interval)


def next_definition(cls: type, name: str) -> object:
    """What ``super()`` in the mixin finds under a name for instances of ``cls``."""
    bases = cls.__mro__[cls.__mro__.index(MonitoredConsumerMixin) + 1 :]
    return next((vars(base)[name] for base in bases if name in vars(base)), None)


def is_owned(scope: Any) -> bool:  # noqa: ANN401 - ASGI
    """Whether somebody counts for a connection already."""
    connection = scope.get(SCOPE_KEY)
    return connection is not None and connection.owner is not None


def check_threshold(name: str, milliseconds: float | None) -> None:
    """
    Look at what a class says of slowness.

    Raises:
        ConfigurationError: It is no threshold.
    """
    if milliseconds is not None and not milliseconds > 0:
        raise ConfigurationError(
            f"{name}.hub_slow_threshold_ms is {milliseconds!r}; give a number of milliseconds above 0, or None"
        )


def check_close_after(name: str, seconds: float | None) -> None:
    """
    Look at what a class says of slow clients.

    Raises:
        ConfigurationError: It is no time.
    """
    if seconds is not None and not seconds > 0:
        raise ConfigurationError(
            f"{name}.hub_close_slow_client_after is {seconds!r}; give a number of seconds above 0, or None"
        )


def check_frame_number(name: str, cls: type, field: object) -> None:
    """
    Look at what a class says of the numbers of frames.

    Raises:
        ConfigurationError: There can't be any.
    """
    if field is None:
        return
    if not isinstance(field, str) or not field:
        raise ConfigurationError(f"{name}.hub_frame_number is {field!r}; give the name of a field, or None")
    if not hasattr(cls, "receive_json"):
        raise ConfigurationError(
            f"{name}.hub_frame_number is {field!r}, but the class has no receive_json; write"
            " get_hub_frame_number(message)"
        )


class MonitoredConsumerMixin:
    """
    Monitors a Channels consumer; first in the bases: ``class Chat(MonitoredConsumerMixin, AsyncConsumer)``.

    Attributes:
        hub_consumer: The consumer's label; by default its module and class name.
        hub_tenant: A constant tenant; see also `get_hub_tenant`.
        hub_message_types: Types that are counted by name, besides those the class has handlers for.
        hub_inbox: False: run in Channels' own dispatch loop. None: as ``HUB["INBOX"]`` says.
        hub_sweep: False: sweep old database connections before every dispatch, as Channels does.
            None: as ``HUB["SWEEP"]`` says.
        hub_slow_threshold_ms: What takes this consumer longer is slow. None: as ``HUB["SLOW_THRESHOLD_MS"]`` says.
        hub_close_slow_client_after: A slow client that is more than so many seconds behind is closed with 1013. None:
            none is closed for being slow.
        hub_control_frames: False: our client library is served as any plain client is. None: as
            ``HUB["CONTROL_FRAMES"]`` says.
        hub_presence: False: nobody's presence is kept. None: as ``HUB["PRESENCE"]`` says.
        hub_heartbeat_interval: Seconds between two heartbeats of a negotiated client. None: as
            ``HUB["HEARTBEAT_INTERVAL"]`` says.
        hub_presence_timeout: Seconds of silence after which a member is offline, or idle; at least two intervals.
            None: as ``HUB["PRESENCE_TIMEOUT"]`` says.
        hub_presence_groups: Presence groups that each connection is in; see also `get_hub_presence_groups`.
        hub_presence_message: Type of a channel-layer message that tells a presence group, by a channel-layer group
            of the same name, who joined it and who left. None: none is sent.
        hub_frame_number: The field of a JSON consumer's content in which clients number their frames, one by one;
            see also `get_hub_frame_number`. None: they don't.
    """

    hub_consumer: str | None = None
    hub_tenant: str | None = None
    hub_message_types: tuple[str, ...] = ()
    hub_inbox: bool | None = None
    hub_sweep: bool | None = None
    hub_slow_threshold_ms: float | None = None
    hub_close_slow_client_after: float | None = None
    hub_control_frames: bool | None = None
    hub_presence: bool | None = None
    hub_heartbeat_interval: float | None = None
    hub_presence_timeout: float | None = None
    hub_presence_groups: tuple[str, ...] = ()
    hub_presence_message: str | None = None
    hub_frame_number: str | None = None

    # What is known of the class, once and for all.
    _hub_label: ClassVar[str]
    _hub_types: ClassVar[TypeNames]
    _hub_owns_loop: ClassVar[bool]
    _hub_owns_dispatch: ClassVar[bool]
    #: With the settings that it was found for; every class has its own, none before it was checked.
    _hub_policy: ClassVar[tuple[Config, Policy] | None]
    _hub_sweeping: Sweep | None = None
    #: The record of the connection that this instance serves, while it does.
    _hub_connection: Connection | None = None
    #: Methods of the host's that stand on this instance, with something of ours in front, while it serves.
    _hub_shadowed: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        super().__init_subclass__(**kwargs)
        mro = cls.__mro__
        if AsyncConsumer in mro and mro.index(AsyncConsumer) < mro.index(MonitoredConsumerMixin):
            raise ConfigurationError(
                f"{cls.__qualname__}: MonitoredConsumerMixin stands behind a Channels consumer in the bases and would"
                f" record nothing; write class {cls.__name__}(MonitoredConsumerMixin, ...)"
            )
        cls._hub_types = TypeNames(cls, cls.hub_message_types)
        cls._hub_owns_loop = next_definition(cls, "__call__") is AsyncConsumer.__call__
        cls._hub_owns_dispatch = next_definition(cls, "dispatch") is AsyncConsumer.dispatch
        cls._hub_label = vars(cls).get("hub_consumer") or f"{cls.__module__}.{cls.__qualname__}"
        members.check_class(cls)
        check_threshold(cls.__qualname__, cls.hub_slow_threshold_ms)
        check_close_after(cls.__qualname__, cls.hub_close_slow_client_after)
        check_frame_number(cls.__qualname__, cls, cls.hub_frame_number)

    def get_hub_tenant(self) -> str | None:
        """
        The tenant of this connection: asked once, after it was accepted, when ``self.scope`` is authenticated.

        Never derive it from a header that a client can set. None: the rule in ``HUB["TENANT"]`` decides.
        """
        return self.hub_tenant

    def get_hub_message_type(self, message: dict[str, Any]) -> str | None:  # noqa: ARG002 - for the host to override
        """
        The type of one frame, as a raw ASGI ``websocket.receive`` or ``websocket.send`` message.

        None: by the ``type`` of a JSON consumer's content, else ``text`` or ``binary``.
        """
        return None

    def get_hub_member(self) -> str | None:
        """
        The id of who is connected, unique in the tenant: asked once, after accept, as for `get_hub_tenant`.

        None: the authenticated user's primary key; else a digest of the session's key; else one for this connection.
        """
        return None

    def get_hub_member_name(self) -> str | None:
        """The name that others see. None: the authenticated user's name; else none."""
        return None

    def get_hub_presence_groups(self) -> Iterable[str]:
        """The presence groups that the connection is in from the beginning: asked once, after accept."""
        return self.hub_presence_groups

    def get_hub_frame_number(self, message: dict[str, Any]) -> int | None:  # noqa: ARG002 - for the host to override
        """
        The number that the client gave one frame, a raw ASGI ``websocket.receive`` message, in the order of arrival.

        None: it has none. Numbers rise one by one; what is missing, late or double is counted.
        """
        return None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """
        Run the consumer, monitored if it is a WebSocket's and nobody monitors it already.

        Whatever runs for as long as the connection lives is awaited from here, not from one method inside another:
        each of them would cost every idle connection a third of a KiB.
        """
        shared = instruments()
        if not shared.config.enabled or scope.get("type") != "websocket" or is_owned(scope):
            await super().__call__(scope, receive, send)  # type: ignore[misc]  # the consumer's
            return
        observer, receive, send = self._hub_begin(shared, scope, receive, send)
        inbox = self._hub_inbox_of(observer)
        failure: BaseException | None = None
        try:
            if inbox is None:
                await self._hub_run_wrapped(observer, scope, receive, send)
            else:
                await (await self._hub_open(inbox, observer, scope, receive, send))
        except Exception as error:
            # In the inbox it is the regular end, as in Channels' own ``__call__``.
            if inbox is None or not isinstance(error, StopConsumer):
                failure = error
                raise
        finally:
            self._hub_end(observer, inbox, failure)

    def _hub_begin(
        self, shared: Instruments, scope: Any, receive: Any, send: Any  # noqa: ANN401 - ASGI
    ) -> tuple[Observer, Any, Any]:  # fmt: skip
        """Claim the connection; gives what counts for it, and what passes through it in place of the server's own."""
        shared.start()
        connection, receive, send = self._hub_claim(shared, scope, receive, send)
        self._hub_sweeping = self._hub_sweep_of(shared)
        control = self._hub_set_up(shared, connection, send)
        if control is not None:
            receive, send = control.observe_receive(receive), control.observe_send(send)
        receive, numbered = self._hub_number(shared, connection, receive)
        observer = Observer(shared, connection, self._hub_type_rule(), control)
        if self.hub_slow_threshold_ms is not None:
            observer.threshold = self.hub_slow_threshold_ms / 1000
        observer.close_after = self.hub_close_slow_client_after
        shadowed = (*numbered, *watch_json(self, self._hub_types, connection))
        if shadowed:
            self._hub_shadowed = shadowed
        self._hub_connection = connection
        return observer, receive, observer.observe_send(send)

    def _hub_claim(
        self, shared: Instruments, scope: Any, receive: Any, send: Any  # noqa: ANN401 - ASGI
    ) -> tuple[Connection, Any, Any]:  # fmt: skip
        """The record of the connection, which counts for this consumer from now on."""
        asked = take_parameter_of(scope)
        connection = scope.get(SCOPE_KEY)
        if connection is None:
            connection = shared.ledger.open(self._hub_label, shared.clock.monotonic(), self._hub_resolve_tenant)
            # For a consumer that this one may run inside itself: nothing is counted twice.
            scope[SCOPE_KEY] = connection
        else:
            connection.consumer, connection.tenant_of = self._hub_label, self._hub_resolve_tenant
            receive, send = straight(receive), straight(send)
        connection.asked = connection.asked or asked
        connection.owner = "mixin"
        return connection, receive, send

    def _hub_end(self, observer: Observer, inbox: Inbox | None, failure: BaseException | None) -> None:
        """The consumer is done; the gauge goes down here, once, however it ends."""
        shared, connection = observer.instruments, observer.connection
        if inbox is not None:
            observer.lost_in_teardown(inbox.undispatched())
        for name in (*self._hub_shadowed, "_hub_shadowed"):
            vars(self).pop(name, None)
        if observer.control is not None:
            observer.control.stop()
            record_end(shared, connection)
        shared.ended(connection, failure)
        vars(self).pop("_hub_connection", None)

    def _hub_set_up(self, shared: Instruments, connection: Connection, send: Send) -> ControlFrames | None:
        """Say how presence of the connection is kept; gives its control frames, if it has any."""
        settings = shared.config
        policy = members.policy_of(type(self), settings)
        present = settings.presence if self.hub_presence is None else self.hub_presence
        wanted = settings.control_frames if self.hub_control_frames is None else self.hub_control_frames
        negotiates = connection.asked and wanted
        connection.policy = policy if present or negotiates else None
        connection.member_of = functools.partial(members.member_of, self) if present else None
        return ControlFrames(shared, connection, policy.interval, send) if negotiates else None

    def _hub_inbox_of(self, observer: Observer) -> Inbox | None:
        """The inbox that the consumer runs in; None: its loop is not ours, or it is to keep its own."""
        settings = observer.instruments.config
        if not self._hub_owns_loop or not (settings.inbox if self.hub_inbox is None else self.hub_inbox):
            return None
        return Inbox(observer.monotonic, settings.inbox_messages, settings.inbox_bytes)

    async def _hub_open(
        self, inbox: Inbox, observer: Observer, scope: Any, receive: Any, send: Send  # noqa: ANN401 - ASGI
    ) -> Awaitable[None]:  # fmt: skip
        """What `AsyncConsumer.__call__` does; gives the inbox at work, in place of ``await_many_dispatch``."""
        consumer: Any = self
        consumer.scope = scope
        consumer.channel_layer = get_channel_layer(consumer.channel_layer_alias)
        layer_receive = None
        if consumer.channel_layer is not None:
            token = CONNECTION.set(observer.connection)
            consumer.channel_name = await consumer.channel_layer.new_channel()
            # At once: every variable of a context costs each connection memory for as long as it lives.
            CONNECTION.reset(token)
            layer_receive = functools.partial(consumer.channel_layer.receive, consumer.channel_name)
            consumer.channel_receive = layer_receive
        consumer.base_send = async_to_sync(send) if consumer._sync else send  # noqa: SLF001 - as Channels does
        entry = observer.at_work(inbox)
        dispatch = observer.observe_dispatch(consumer.dispatch)
        return inbox.run(dispatch, receive, observer.arrived, layer_receive, observer.reading, entry)

    async def _hub_run_wrapped(self, observer: Observer, scope: Any, receive: Any, send: Send) -> None:  # noqa: ANN401 - ASGI
        """Leave the loop to the consumer; see what passes through ``receive``, ``send`` and ``dispatch``."""
        consumer: Any = self
        consumer.dispatch = observer.observe_own_dispatch(consumer.dispatch)
        token = CONNECTION.set(observer.connection)
        try:
            await super().__call__(scope, observer.observe_receive(receive), send)  # type: ignore[misc]  # the consumer's
        finally:
            CONNECTION.reset(token)
            observer.settle_unhandled()
            vars(self).pop("dispatch", None)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Dispatch as the consumer does, but sweep old database connections only when that can matter."""
        sweep = self._hub_sweeping
        if sweep is None:
            await super().dispatch(message)  # type: ignore[misc]  # the consumer's
            return
        # The most frequent type by far, without taking its name apart each time.
        received = (message.get("type") if type(message) is dict else kind_of(message)) == "websocket.receive"
        handler = getattr(self, "websocket_receive" if received else get_handler_name(message), None)
        if not handler:
            raise ValueError("No handler for message type %s" % message["type"])  # noqa: UP031 - Channels' words
        if sweep.due():
            sweep.start()
        await handler(message)

    def _hub_sweep_of(self, shared: Instruments) -> Sweep | None:
        """The throttled sweep, unless it is switched off or the host has a ``dispatch`` of its own below us."""
        wanted = shared.config.sweep if self.hub_sweep is None else self.hub_sweep
        return shared_sweep(shared.config.sweep_interval) if wanted and self._hub_owns_dispatch else None

    def _hub_resolve_tenant(self) -> str:
        """The tenant, or nothing if the host's rule fails: that is counted and never reaches the connection."""
        try:
            tenant = self.get_hub_tenant()
        except Exception as error:  # noqa: BLE001 - the border
            record_fault("get_hub_tenant", error)
            return ""
        return str(tenant) if tenant else tenant_of_scope(getattr(self, "scope", None))

    def _hub_number(self, shared: Instruments, connection: Connection, receive: Any) -> tuple[Any, list[str]]:  # noqa: ANN401 - ASGI
        """Let the numbers of frames be looked at, if the host says where they are; gives what `Numbers` shadows."""
        own_rule = type(self).get_hub_frame_number is not MonitoredConsumerMixin.get_hub_frame_number
        if own_rule:
            return Numbers(shared, connection).observe_receive(receive, self.get_hub_frame_number), []
        if self.hub_frame_number is not None:
            return receive, Numbers(shared, connection).watch_json(self, self.hub_frame_number)
        return receive, []

    def _hub_type_rule(self) -> TypeOf | None:
        """The host's own rule for message types, guarded; None if it has none."""
        if type(self).get_hub_message_type is MonitoredConsumerMixin.get_hub_message_type:
            return None

        def type_of(message: Message) -> str | None:
            try:
                name = self.get_hub_message_type(dict(message))
            except Exception as error:  # noqa: BLE001 - the border
                record_fault("get_hub_message_type", error)
                return None
            return None if name is None else self._hub_types.label(name)

        return type_of
