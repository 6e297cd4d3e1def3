"""
The Django project that every benchmarked server runs: SQLite in a file, the in-memory channel layer.

``python -m benchmarks.project FOLDER`` makes its database.
"""

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

SECRET_KEY = "benchmarks only; this server listens on the loopback interface and is gone in a minute"


def configure(folder: Path, *, monitored: bool, hub: Mapping[str, object] | None = None) -> None:
    """
    Set up Django for this process, with a database of its own that holds one user.

    Args:
        folder: Where the SQLite file goes; it must exist.
        monitored: Whether `hub` is among the installed apps.
        hub: `settings.HUB`; by default everything is as it comes.
    """
    # By a process with the hub, for all sides alike: SQLite reads the whole schema with each new connection, so that
    # tables more would look like a cost of the consumers.
    subprocess.run([sys.executable, "-m", "benchmarks.project", str(folder)], check=True)
    _set_up(folder, monitored=monitored, hub=hub)


def settle() -> None:
    """Wait until the hub has written what it had to, after the event loop has ended and before the folder goes."""
    for thread in threading.enumerate():
        if thread.name.startswith("hub-alerting"):
            thread.join(10)


def _set_up(folder: Path, *, monitored: bool, hub: Mapping[str, object] | None = None) -> None:
    settings.configure(
        SECRET_KEY=SECRET_KEY,
        ALLOWED_HOSTS=["127.0.0.1"],
        INSTALLED_APPS=_list_apps(monitored),
        MIDDLEWARE=[],
        # Tables as the models have them, at once: a run starts dozens of servers.
        MIGRATION_MODULES={app.rpartition(".")[2]: None for app in _list_apps(monitored)},
        ROOT_URLCONF="benchmarks.urls" if monitored else "django.contrib.auth.urls",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "benchmark.sqlite3")}},
        CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        USE_TZ=True,
        HUB=dict(hub or {}),
    )
    django.setup()


def _list_apps(monitored: bool) -> list[str]:
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "channels"]
    return [*apps, "hub"] if monitored else apps


def main() -> None:
    from django.contrib.auth import get_user_model

    _set_up(Path(sys.argv[1]), monitored=True)
    call_command("migrate", run_syncdb=True, verbosity=0)
    get_user_model().objects.create(pk=1, username="benchmark")


if __name__ == "__main__":
    main()
