"""
What the hub keeps in the host's database: whom it lets in, people and programs, and to which tenants; alerts and their
history, what operators have said of them, and the outbox of what receivers are to be told.
"""

from django.conf import settings
from django.db import models


class TenantOperator(models.Model):
    """Binds an operator to a tenant. Whoever has at least one binding sees and touches these tenants only."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="hub_tenants")
    tenant = models.CharField(max_length=200)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["user", "tenant"], name="hub_tenant_operator_once"),)
        permissions = (
            ("view_ops", "Can watch the operator feed and page"),
            ("operate", "Can acknowledge, silence and disconnect"),
        )

    def __str__(self) -> str:
        return f"{self.user} → {self.tenant}"


class AccessToken(models.Model):
    """
    Lets a program read the feed, until it expires or is deleted. Made with ``manage.py hub_token``.

    Attributes:
        digest: SHA-256 of the token, in hexadecimal; the token itself is kept nowhere.
        tenants: Names of the only tenants that it may see; None: all.
        last_used_at: To the minute, so that a busy token does not write all the time.
    """

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    view = models.BooleanField(default=True)
    operate = models.BooleanField(default=False)
    tenants = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Evaluator(models.Model):
    """
    The one process that evaluates rules for all that share this database, and what another has to know to go on.

    Attributes:
        name: ``default``; there is one.
        holder: Name and boot of the process that holds the lease.
        epoch: Grows with each new holder; whoever writes with an older one writes nothing.
        until: When the lease ends unless it is renewed.
        state: `hub.alerting.engine.Engine.pack`.
        actions_seen: Id of the newest `OperatorAction` that ``state`` contains.
    """

    name = models.CharField(max_length=20, primary_key=True)
    holder = models.CharField(max_length=300)
    epoch = models.BigIntegerField(default=0)
    until = models.DateTimeField()
    state = models.JSONField(null=True)
    actions_seen = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.epoch}"


class AlertRecord(models.Model):
    """
    One life of an alert, from pending to resolved; kept as its history.

    Attributes:
        key: Of rule and labels: the same for every life of the alert.
        tenant: Empty: of no tenant in particular.
        values: Its number over time, newest last: pairs of wall-clock seconds and number, thinned out.
        muted: Why nobody is told at the moment, as ``silenced by 3``; empty: it is told.
    """

    key = models.CharField(max_length=64)
    rule = models.CharField(max_length=100)
    severity = models.CharField(max_length=10)
    labels = models.JSONField()
    tenant = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10)
    since = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    value = models.FloatField(null=True)
    worst = models.FloatField(null=True)
    threshold = models.FloatField()
    summary = models.TextField()
    action = models.TextField(blank=True)
    runbook = models.TextField(blank=True)
    unit = models.CharField(max_length=20, blank=True)
    values = models.JSONField(default=list)
    muted = models.CharField(max_length=300, blank=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    acknowledged_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        indexes = (
            models.Index(fields=["state", "-since"], name="hub_alert_state"),
            models.Index(fields=["key", "-since"], name="hub_alert_key"),
            models.Index(fields=["tenant", "-since"], name="hub_alert_tenant"),
        )

    def __str__(self) -> str:
        return f"{self.rule} {self.state}"


class AlertChange(models.Model):
    """
    What became of an alert, and by whom.

    Attributes:
        kind: ``pending``, ``firing``, ``resolved``, ``acknowledged``, ``unacknowledged``, ``told``.
        detail: Of ``told``: the receiver and the kind of message.
        delivery: Of ``told``: that message, for as long as it is kept.
        by: Of an operator; empty: the hub itself.
    """

    alert = models.ForeignKey(AlertRecord, on_delete=models.CASCADE, related_name="changes")
    delivery = models.ForeignKey("Delivery", null=True, on_delete=models.SET_NULL, related_name="changes")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    by = models.CharField(max_length=200, blank=True)
    value = models.FloatField(null=True)
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = (models.Index(fields=["alert", "at"], name="hub_change_alert"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.at}"


class SilenceRecord(models.Model):
    """
    A silence as it is now (`hub.core.silences.Silence`).

    Attributes:
        tenant: The only one whose alerts it can match; empty: made by somebody who sees all.
    """

    id = models.CharField(max_length=32, primary_key=True)
    matchers = models.TextField()
    tenant = models.CharField(max_length=200, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    by = models.CharField(max_length=200)
    why = models.CharField(max_length=500)
    changed_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=["ends_at"], name="hub_silence_end"),)

    def __str__(self) -> str:
        return self.matchers


class OperatorAction(models.Model):
    """
    Who did what: the audit of operators, and how the evaluator hears of it.

    Attributes:
        kind: ``acknowledge``, ``unacknowledge``, ``silence``, ``end_silence``.
        alert_key: Of what was acknowledged; empty otherwise.
        silence: What was made or ended, as `hub.core.silences.Silence.pack`; None otherwise.
    """

    at = models.DateTimeField()
    by = models.CharField(max_length=200)
    kind = models.CharField(max_length=20)
    tenant = models.CharField(max_length=200, blank=True)
    alert_key = models.CharField(max_length=64, blank=True)
    silence = models.JSONField(null=True)

    def __str__(self) -> str:
        return f"{self.by} {self.kind}"


class Delivery(models.Model):
    """
    A message to one receiver: the outbox. Written with the evaluator's epoch, sent at least once.

    Attributes:
        incident: The receiver's deduplication key.
        number: Of the message within its incident; the messages of an incident go out in this order.
        notice: `hub.core.groups.Notice.pack`.
        state: ``waiting``, ``delivered``, ``dead``.
        attempts: Made so far.
        next_at: When it is due.
        claimed_by, claimed_until: The process that sends it now, and until when it counts as alive.
        error: Of the last attempt, without secrets.
    """

    incident = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    receiver = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)
    severity = models.CharField(max_length=10)
    notice = models.JSONField()
    state = models.CharField(max_length=10, default="waiting")
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    next_at = models.DateTimeField()
    claimed_by = models.CharField(max_length=300, blank=True)
    claimed_until = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = (models.UniqueConstraint(fields=["incident", "number", "receiver"], name="hub_delivery_once"),)
        indexes = (models.Index(fields=["state", "next_at"], name="hub_delivery_due"),)

    def __str__(self) -> str:
        return f"{self.receiver} {self.incident[:8]} {self.number}"


class ReceiverMemory(models.Model):
    """What a receiver has to know of an incident for its next message, as the Slack message to answer."""

    incident = models.CharField(max_length=64)
    receiver = models.CharField(max_length=100)
    memory = models.JSONField(default=dict)
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "receiver memories"
        constraints = (models.UniqueConstraint(fields=["incident", "receiver"], name="hub_memory_once"),)

    def __str__(self) -> str:
        return f"{self.receiver} {self.incident[:8]}"
