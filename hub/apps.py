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
        from hub import checks  # noqa: F401, PLC0415 - registers the system checks
        from hub.conf import config  # noqa: PLC0415
        from hub.feed import service as feed  # noqa: PLC0415
        from hub.fleet import service as fleet  # noqa: PLC0415
        from hub.instrument.state import on_first_call  # noqa: PLC0415
        from hub.node.node import ensure_node, on_new_node  # noqa: PLC0415

        if not config().enabled:
            return
        on_new_node(fleet.attach)
        on_new_node(feed.attach)
        on_first_call(ensure_node)
