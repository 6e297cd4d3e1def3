"""The dashboards of the hub."""

from __future__ import annotations

from scripts.dashboards.panels import (
    ALL,
    BYTES,
    BYTES_PER_SECOND,
    HEATMAP,
    PER_SECOND,
    PROCESS,
    SECONDS,
    SHARE,
    TABLE,
    TENANT,
    Board,
    Panel,
    number,
    quantile,
    quantiles,
    rate,
    total,
)  # fmt: skip

OF_CONNECTIONS = {
    "consumer": f"label_values(ws_connections_total{{{PROCESS}}}, consumer)",
    "tenant": f"label_values(ws_connections_total{{{PROCESS}}}, tenant)",
}

WEBSOCKETS = Board(
    uid="hub-websockets",
    title="WebSockets",
    about="Connections, messages, latency: what clients notice.",
    variables=OF_CONNECTIONS,
    rows={
        "Now": (
            number("Connections", total("ws_connections_active")),
            number("Processes", f"count(hub_info{{{PROCESS}}})"),
            number("Messages in", rate("ws_messages_received_total"), PER_SECOND),
            number("Messages out", rate("ws_messages_sent_total"), PER_SECOND),
            number("95 % handled within", quantile(0.95, "ws_message_latency_seconds"), SECONDS),
            number("95 % dispatched within", quantile(0.95, "ws_message_wait_seconds"), SECONDS),
        ),
        "Connections": (
            Panel(
                title="Connections by consumer", queries={"{{consumer}}": total("ws_connections_active", "consumer")}
            ),
            Panel(title="Connections by process", queries={"{{instance}}": total("ws_connections_active", "instance")}),
            Panel(
                title="Opened and ended",
                queries={
                    "opened": rate("ws_connections_total"),
                    "ended with {{code}}": rate("ws_disconnects_total", "code"),
                },
                unit=PER_SECOND,
                about="Close codes: 1000 and 1001 are clean; 1006 is the network or a proxy; 1011 and 1012 the server.",
            ),
            Panel(
                title="Never accepted",
                # Without a tenant: nobody knows it before the handshake is over.
                queries={
                    "{{consumer}}: {{reason}}": rate(
                        "ws_connection_failures_total", "consumer, reason", f'{PROCESS}, consumer=~"$consumer"'
                    )
                },
                unit=PER_SECOND,
                about="Of all tenants: before the handshake is over nobody knows whose it is.",
            ),
            Panel(
                title="How long connections last",
                queries=quantiles("ws_connection_duration_seconds"),
                unit=SECONDS,
                about="Of those that have ended.",
            ),
            Panel(
                title="Round trip to clients",
                queries=quantiles("ws_client_rtt_seconds"),
                unit=SECONDS,
                about="Of clients with the client library.",
            ),
        ),
        "Messages": (
            Panel(
                title="Received, by type",
                queries={"{{message_type}}": rate("ws_messages_received_total", "message_type")},
                unit=PER_SECOND,
            ),
            Panel(
                title="Sent, by type",
                queries={"{{message_type}}": rate("ws_messages_sent_total", "message_type")},
                unit=PER_SECOND,
            ),
            Panel(
                title="From the channel layer, by type",
                queries={"{{message_type}}": rate("ws_layer_messages_total", "message_type")},
                unit=PER_SECOND,
            ),
            Panel(
                title="Payload",
                queries={"in": rate("ws_received_bytes_total"), "out": rate("ws_sent_bytes_total")},
                unit=BYTES_PER_SECOND,
            ),
        ),
        "Latency": (
            Panel(title="Time in the handler", queries=quantiles("ws_message_latency_seconds"), unit=SECONDS),
            Panel(
                title="95 % of it, by consumer",
                queries={"{{consumer}}": quantile(0.95, "ws_message_latency_seconds", "consumer")},
                unit=SECONDS,
            ),
            Panel(
                title="Handlers, by time taken",
                queries={"{{le}}": rate("ws_message_latency_seconds_bucket", "le")},
                unit=SECONDS,
                kind=HEATMAP,
            ),
            Panel(
                title="Before the handler: 95 % wait up to",
                queries={
                    "from arrival": quantile(0.95, "ws_message_wait_seconds"),
                    "from sending, through the channel layer": quantile(0.95, "ws_layer_wait_seconds"),
                },
                unit=SECONDS,
            ),
        ),
    },
)

SLOW_AND_DROPPED = Board(
    uid="hub-slow-dropped",
    title="Slow and dropped",
    about="Which consumer is slow and why, which messages were lost and where.",
    variables=OF_CONNECTIONS,
    rows={
        "Slow": (
            Panel(
                title="Open episodes",
                queries={"{{cause}}": total("ws_slow_consumers", "cause")},
                trouble="something is slow",
                about="What is over before the next scrape stands beside this.",
            ),
            Panel(
                title="Episodes opened within a minute",
                queries={"{{cause}}": f"sum by (cause) (increase(ws_slow_episodes_total{{{ALL}}}[1m]))"},
                trouble="something has been slow",
            ),
            Panel(
                title="Most episodes, in the time shown",
                queries={
                    "": "topk(10, sum by (consumer, tenant, cause) "
                    f"(increase(ws_slow_episodes_total{{{ALL}}}[$__range])))"
                },
                kind=TABLE,
                trouble="something has been slow",
            ),
            Panel(
                title="Messages that wait for their handler",
                queries={"{{consumer}}": total("ws_inbound_backlog_messages", "consumer")},
            ),
            Panel(
                title="How late the event loop is: 99 %",
                queries={"{{instance}}": quantile(0.99, "ws_event_loop_lag_seconds", "instance", PROCESS)},
                unit=SECONDS,
            ),
            Panel(
                title="Wait for the shared sync thread: 99 %",
                queries={"{{instance}}": quantile(0.99, "ws_sync_thread_wait_seconds", "instance", PROCESS)},
                unit=SECONDS,
            ),
        ),
        "Errors": (
            Panel(
                title="Exceptions that left a handler",
                queries={"{{consumer}}: {{exception}}": rate("ws_handler_errors_total", "consumer, exception")},
                unit=PER_SECOND,
                trouble="a handler raises",
            ),
            Panel(
                title="Exceptions, of all messages handled",
                queries={
                    "{{consumer}}": f"{rate('ws_handler_errors_total', 'consumer')}\n/\n"
                    f"({rate('ws_message_latency_seconds_count', 'consumer')} > 0)"
                },
                unit=SHARE,
                trouble="a handler raises",
            ),
        ),
        "Dropped": (
            Panel(
                title="Lost since the processes began, by reason",
                queries={"{{reason}}": total("ws_frames_dropped_total", "reason")},
                about="Nobody waits for teardown and after_close: the connection was gone.",
                trouble="messages are lost",
            ),
            Panel(
                title="Lost, by consumer and reason",
                queries={"{{consumer}}: {{reason}}": rate("ws_frames_dropped_total", "consumer, reason")},
                unit=PER_SECOND,
                trouble="messages are lost",
            ),
            Panel(
                title="Most lost, in the time shown",
                queries={
                    "": "topk(10, sum by (consumer, tenant, reason) "
                    f'(increase(ws_frames_dropped_total{{{ALL}, reason!~"teardown|after_close"}}[$__range])))'
                },
                kind=TABLE,
                trouble="messages are lost",
            ),
            Panel(
                title="Of frames to clients with the client library",
                queries={
                    "confirmed": rate("ws_frames_confirmed_total"),
                    "nobody can know": rate("ws_frames_unknown_total"),
                },
                unit=PER_SECOND,
            ),
            Panel(
                title="Frames on their way to them", queries={"{{consumer}}": total("ws_frames_in_flight", "consumer")}
            ),
            Panel(
                title="Frames of clients out of line",
                queries={
                    "{{consumer}}: {{kind}}": rate("ws_frames_misnumbered_total", "consumer, kind"),
                    "control frames that made no sense": rate("ws_control_frames_garbled_total"),
                },
                unit=PER_SECOND,
                trouble="clients that number their frames lose some, or send them twice",
            ),
        ),
        "Channel layers": (
            Panel(
                title="The fullest queue, of its capacity",
                queries={
                    "{{layer}} on {{instance}}": f"max by (layer, instance) (ws_channel_layer_fill_ratio{{{PROCESS}}})"
                },
                unit=SHARE,
            ),
            Panel(
                title="Messages that wait",
                queries={"{{layer}} on {{instance}}": total("ws_channel_layer_depth", "layer, instance", PROCESS)},
            ),
            Panel(
                title="How long the oldest has waited",
                queries={
                    "{{layer}} on {{instance}}": "max by (layer, instance) "
                    f"(ws_channel_layer_oldest_seconds{{{PROCESS}}})"
                },
                unit=SECONDS,
            ),
            Panel(
                title="Losses in a number that nobody can know",
                queries={"{{layer}} on {{instance}}": total("ws_channel_layer_gaps_total", "layer, instance", PROCESS)},
                about="Since the process began.",
            ),
        ),
    },
)

PRESENCE = Board(
    uid="hub-presence",
    title="Presence and tenants",
    about="Who is connected, and how each tenant fares.",
    variables={"tenant": OF_CONNECTIONS["tenant"]},
    rows={
        "Presence": (
            Panel(
                title="Members by state",
                queries={"{{state}}": total("ws_presence_members", "state", TENANT)},
                about="One with connections to two processes counts in both.",
            ),
            Panel(title="Members by tenant", queries={"{{tenant}}": total("ws_presence_members", "tenant", TENANT)}),
            Panel(
                title="Heartbeats",
                queries={
                    "came": rate("ws_heartbeats_total", of=TENANT),
                    "did not come": rate("ws_heartbeats_missed_total", of=TENANT),
                },
                unit=PER_SECOND,
            ),
            Panel(
                title="Round trip: 95 %",
                queries={"{{tenant}}": quantile(0.95, "ws_client_rtt_seconds", "tenant", TENANT)},
                unit=SECONDS,
            ),
        ),
        "Tenants": (
            Panel(title="Connections", queries={"{{tenant}}": total("ws_connections_active", "tenant", TENANT)}),
            Panel(
                title="Messages in",
                queries={"{{tenant}}": rate("ws_messages_received_total", "tenant", TENANT)},
                unit=PER_SECOND,
            ),
            Panel(
                title="95 % handled within",
                queries={"{{tenant}}": quantile(0.95, "ws_message_latency_seconds", "tenant", TENANT)},
                unit=SECONDS,
            ),
            Panel(
                title="Lost, but for teardown and after_close",
                queries={
                    "{{tenant}}": rate("ws_frames_dropped_total", "tenant", f'{TENANT}, reason!~"teardown|after_close"')
                },
                unit=PER_SECOND,
                trouble="messages are lost",
            ),
            Panel(
                title="Exceptions",
                queries={"{{tenant}}": rate("ws_handler_errors_total", "tenant", TENANT)},
                unit=PER_SECOND,
                trouble="a handler raises",
            ),
            Panel(
                title="Most connections",
                queries={"": f"topk(20, {total('ws_connections_active', 'tenant', TENANT)})"},
                kind=TABLE,
            ),
        ),
    },
)


#: The host's own metrics of a kind, by name: none of the hub's, nor of Prometheus's own.
_OWN = f'__name__!~"(ws|hub|scrape)_.*|up", {PROCESS}'
_NO_GAUGE = '__name__!~".+_(total|bucket|sum|count|created)"'


BUSINESS = Board(
    uid="hub-business",
    title="Business",
    about="What the host counts itself, with hub.metrics.",
    variables={
        "counter": f'label_values({{__name__=~".+_total", {_OWN}}}, __name__)',
        "gauge": f'label_values({{__name__=~".+", {_NO_GAUGE}, {_OWN}}}, __name__)',
        "histogram": f'label_values({{__name__=~".+_bucket", {_OWN}}}, __name__)',
    },
    rows={
        "Counters": (
            Panel(
                title="$counter",
                queries={"a minute": f'60 * sum(rate({{__name__="$counter", {PROCESS}}}[$__rate_interval]))'},
                repeat="counter",
            ),
        ),
        "Gauges": (
            Panel(
                title="$gauge",
                queries={"{{instance}}": f'sum by (instance) ({{__name__="$gauge", {PROCESS}}})'},
                repeat="gauge",
            ),
        ),
        "Histograms": (
            Panel(
                title="$histogram",
                queries={
                    f"{100 * q:g} %": f"histogram_quantile({q}, sum by (le) "
                    f'(rate({{__name__="$histogram", {PROCESS}}}[$__rate_interval])))'
                    for q in (0.5, 0.95)
                },
                repeat="histogram",
            ),
        ),
    },
)

ITSELF = Board(
    uid="hub-itself",
    title="The hub itself",
    about="What the hub costs, and whether it works.",
    variables={},
    rows={
        "Scrapes": (
            Panel(title="Up", queries={"{{instance}}": f"up{{{PROCESS}}}"}, width=8),
            Panel(
                title="Duration",
                queries={"{{instance}}": f"scrape_duration_seconds{{{PROCESS}}}"},
                unit=SECONDS,
                width=8,
            ),
            Panel(title="Samples", queries={"{{instance}}": f"scrape_samples_scraped{{{PROCESS}}}"}, width=8),
            Panel(title="Versions", queries={"": f"count by (version, instance) (hub_info{{{PROCESS}}})"}, kind=TABLE),
            Panel(
                title="Faults",
                queries={"{{place}} on {{instance}}": total("hub_faults_total", "place, instance", PROCESS)},
                trouble="the hub itself fails",
                about="Since the process began; the first of each place is in its log.",
            ),
        ),
        "Node": (
            Panel(
                title="Time that a sample takes",
                queries={
                    "sample on {{instance}}": f"hub_sampler_seconds{{{PROCESS}}}",
                    "presence on {{instance}}": f"hub_presence_sweep_seconds{{{PROCESS}}}",
                },
                unit=SECONDS,
            ),
            Panel(
                title="How late samples begin",
                queries={"{{instance}}": f"hub_loop_lag_seconds{{{PROCESS}}}"},
                unit=SECONDS,
            ),
            Panel(
                title="Events", queries={"{{instance}}": rate("hub_events_total", "instance", PROCESS)}, unit=PER_SECOND
            ),
            Panel(
                title="Memory of the history", queries={"{{instance}}": f"hub_history_bytes{{{PROCESS}}}"}, unit=BYTES
            ),
            Panel(
                title="Series of the history let go of",
                queries={"{{instance}}": rate("hub_history_evicted_total", "instance", PROCESS)},
                unit=PER_SECOND,
            ),
        ),
        "Alerts": (
            Panel(
                title="Alerts that fire",
                queries={"{{severity}}": total("hub_alerts_firing", "severity", PROCESS)},
                about="From the one process that evaluates the rules; nothing here: none does.",
            ),
            Panel(
                title="Attempts to tell receivers",
                queries={"{{receiver}}: {{result}}": rate("hub_deliveries_total", "receiver, result", PROCESS)},
                unit=PER_SECOND,
                trouble="somebody is told",
            ),
            Panel(
                title="Messages that wait for their receivers",
                queries={"{{instance}}": f"hub_outbox_waiting{{{PROCESS}}}"},
                width=8,
            ),
            Panel(
                title="How long the oldest has waited",
                queries={"{{instance}}": f"hub_outbox_oldest_seconds{{{PROCESS}}}"},
                unit=SECONDS,
                width=8,
            ),
            Panel(
                title="Time that an evaluation takes",
                queries={"{{instance}}": f"hub_evaluation_seconds{{{PROCESS}}}"},
                unit=SECONDS,
                width=8,
            ),
        ),
        "Operators": (
            Panel(title="Operators connected", queries={"{{instance}}": f"hub_feed_clients{{{PROCESS}}}"}),
            Panel(
                title="Frames to operators",
                queries={
                    "sent": rate("hub_feed_frames_total", of=PROCESS),
                    "numbers encoded": rate("hub_feed_encodings_total", of=PROCESS),
                },
                unit=PER_SECOND,
            ),
            Panel(
                title="Operators that could not keep up",
                queries={"{{instance}}": rate("hub_feed_closed_slow_total", "instance", PROCESS)},
                unit=PER_SECOND,
            ),
        ),
    },
)

BOARDS = (WEBSOCKETS, SLOW_AND_DROPPED, PRESENCE, BUSINESS, ITSELF)
