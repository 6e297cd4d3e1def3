"""Who is there, for pages of the site that need nothing else: the hub's own consumer, on its own path."""

from hub.feed.routing import presence_urlpatterns

__all__ = ["presence_urlpatterns"]
