"""A host's settings, with the channel layer that the test asks for."""

import os

BACKENDS = {
    "memory": "channels.layers.InMemoryChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
KIND = os.environ.get("LAYER", "memory")
CAPACITY, EXPIRY = int(os.environ.get("CAPACITY", "100")), int(os.environ.get("EXPIRY", "60"))

SECRET_KEY = "layers"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "tests.layers.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "channels",
    "hub",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": BACKENDS[KIND],
        "CONFIG": {
            **({} if KIND == "memory" else {"hosts": [os.environ.get("REDIS_URL", "")]}),
            **({} if KIND == "pubsub" else {"capacity": CAPACITY, "expiry": EXPIRY}),
        },
    }
}
HUB = {"TENANT": "tests.layers.consumers.tenant_of"}
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "CRITICAL"}}
