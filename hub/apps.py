"""The composition: what each room offers to the ones below it is connected here, and nowhere else."""

from django.apps import AppConfig


class HubConfig(AppConfig):
    """The Django application ``hub``."""

    name = "hub"
    label = "hub"
    verbose_name = "Channels Hub"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the rooms. Nothing starts yet: the node does with the first call of a monitored application."""
        # The rooms need the app registry, which is ready only now.
        from hub import (  # noqa: PLC0415
            checks,  # noqa: F401 - registers the system checks
            presence,
        )
        from hub.alerting import checks as rule_checks  # noqa: F401, PLC0415 - registers another one
        from hub.alerting import service as alerting  # noqa: PLC0415
        from hub.conf import config  # noqa: PLC0415
        from hub.feed import service as feed  # noqa: PLC0415
        from hub.fleet import roster  # noqa: PLC0415
        from hub.fleet import service as fleet  # noqa: PLC0415
        from hub.instrument import checks as consumer_checks  # noqa: F401, PLC0415 - registers another one
        from hub.instrument.layers.adopt import instrument_layers  # noqa: PLC0415
        from hub.instrument.state import on_first_call  # noqa: PLC0415
        from hub.node import layers as node_layers  # noqa: PLC0415
        from hub.node import presence as node_presence  # noqa: PLC0415
        from hub.node import slowness  # noqa: PLC0415
        from hub.node.node import ensure_node, on_new_node  # noqa: PLC0415

        if not config().enabled:
            return
        on_new_node(node_layers.attach)
        for builder in (node_presence.attach, fleet.attach, roster.attach, presence.attach, feed.attach):
            on_new_node(builder)
        on_new_node(alerting.attach)
        on_new_node(slowness.attach)
        on_first_call(instrument_layers)
        on_first_call(ensure_node)
