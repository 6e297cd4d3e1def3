"""
E-mail through Django: by the project's own mail settings, or by a server of the receiver's own. As text and HTML, all
mails of an incident in one thread (RFC 5322, ``In-Reply-To`` and ``References``).
"""

import smtplib
import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Annotated, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.mail.utils import DNS_NAME
from django.core.validators import validate_email
from django.template.loader import render_to_string
from msgspec import Meta

from hub.alerting.message import Line, Message, cut, moment
from hub.alerting.receivers.base import ATTEMPT_TIMEOUT, RefusedError
from hub.alerting.receivers.options import Options, PerMinute, Text
from hub.alerting.receivers.patience import Patience
from hub.core.redaction import Secret
from hub.core.rules import CRITICAL

#: Characters of a subject; RFC 5322 wants lines of less than 78.
MAX_SUBJECT = 150
#: From here on an answer of SMTP means "never" (RFC 5321).
_NEVER = 500

MailAddress = Annotated[str, Meta(min_length=3, max_length=254)]


class EmailOptions(Options, frozen=True, kw_only=True):
    """
    Of a receiver by e-mail. Without ``host`` the project's own mail settings hold.

    Attributes:
        to: Who gets it.
        sender: Of the mails; ``DEFAULT_FROM_EMAIL`` if it is left out.
        host, port: Of an SMTP server.
        user, password: For it.
        security: ``starttls``, ``tls`` or ``none``.
    """

    to: Annotated[list[MailAddress], Meta(min_length=1, max_length=50)]
    sender: MailAddress | None = None
    host: Text | None = None
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    user: str = ""
    password: Secret = Secret("")
    security: Annotated[str, Meta(pattern="^(starttls|tls|none)$")] = "starttls"
    per_minute: PerMinute = 30.0

    def __post_init__(self) -> None:
        for option, given in (("to", self.to), ("sender", [self.sender] if self.sender else [])):
            _require_mail_addresses(option, given)
        if self.host is None and (self.port or self.user or self.password.value):
            raise ValueError("Expected a `host` for `port`, `user` and `password`")


def _require_mail_addresses(option: str, given: list[str]) -> None:
    for one in given:
        try:
            validate_email(one)
        except ValidationError:
            raise ValueError(f"Expected e-mail addresses in `{option}`") from None


class Email:
    """Tells people by e-mail; see `hub.alerting.receivers.base.Receiver`."""

    kind = "email"

    def __init__(self, name: str, options: EmailOptions, timeout: float = ATTEMPT_TIMEOUT) -> None:
        self.name, self.per_minute = name, options.per_minute
        self._options, self._timeout = options, timeout
        self._patience = Patience(timeout)

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:
        """See the contract; the ``subject`` of the first mail is remembered, since threads are made by that as well."""
        first = memory.get("subject")
        subject = first if isinstance(first, str) else subject_of(message)
        mail = mail_of(message, self._options, subject if first is None else f"Re: {subject}")
        refused: list[str] = []
        self._patience.call(lambda: self._send(mail, refused))
        if refused:
            raise RefusedError(refused[0])
        return {"subject": subject}

    def _send(self, mail: EmailMultiAlternatives, refused: list[str]) -> str:
        try:
            if self._options.host is None:
                mail.send()
            else:
                self._send_by(self._options.host, mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            return _said(min(codes, default=0), refused)
        except smtplib.SMTPResponseException as error:
            return _said(error.smtp_code, refused)
        except smtplib.SMTPException as error:
            return f"the mail server and we don't understand each other: {type(error).__name__}"
        except ssl.SSLError as error:
            return f"no TLS connection: {error.reason or 'handshake failed'}"
        except Exception as error:  # noqa: BLE001 - a project's mail backend may raise anything, with anything in it
            return f"mail can't be sent: {type(error).__name__}"
        return ""

    def _send_by(self, host: str, mail: EmailMultiAlternatives) -> None:
        options, context = self._options, ssl.create_default_context()
        port = options.port or {"none": 25, "tls": 465}.get(options.security, 587)
        usual = {"local_hostname": DNS_NAME.get_fqdn(), "timeout": self._timeout}
        with closing(
            smtplib.SMTP_SSL(host, port, context=context, **usual)
            if options.security == "tls"
            else smtplib.SMTP(host, port, **usual)
        ) as server:
            if options.security == "starttls":
                server.starttls(context=context)
            if options.user and options.password.value:
                server.login(options.user, options.password.value)
            server.send_message(mail.message())
            # It has been taken: how they part does not matter.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()


def _said(code: int, refused: list[str]) -> str:
    """What an answer of SMTP means; what it says may hold anything, and is not shown."""
    reason = f"the mail server answered {code}"
    if code >= _NEVER:
        refused.append(reason)
        return ""
    return reason


# --- the mail -----------------------------------------------------------------------------------------------------


def subject_of(message: Message) -> str:
    """The subject of an incident's first mail."""
    return cut(f"[{message.site or 'Channels Hub'}] {message.notice.severity}: {message.subject}", MAX_SUBJECT)


def mail_of(message: Message, options: EmailOptions, subject: str) -> EmailMultiAlternatives:
    """The message as a mail."""
    sender = options.sender or settings.DEFAULT_FROM_EMAIL
    domain = sender.rpartition("@")[2].strip("<> ") or "localhost"
    number = message.notice.number
    headers = {"Message-ID": f"<hub.{message.incident}.{number}@{domain}>", "Auto-Submitted": "auto-generated"}
    if number > 1:
        first = f"<hub.{message.incident}.1@{domain}>"
        headers |= {"In-Reply-To": first, "References": first}
    if message.notice.severity == CRITICAL and not message.over:
        headers |= {"Importance": "high", "X-Priority": "1"}
    mail = EmailMultiAlternatives(subject, text_of(message), sender, list(options.to), headers=headers)
    mail.attach_alternative(
        render_to_string("hub/alert.html", {"message": message, "lines": _rows(message)}), "text/html"
    )
    return mail


def text_of(message: Message) -> str:
    """The message as plain text."""
    notice = message.notice
    parts = [message.title, "", f"Severity: {notice.severity}", f"Since: {moment(notice.since)}"]
    if message.tenants:
        parts.append(f"Tenant: {', '.join(message.tenants)}")
    for row in _rows(message):
        parts += ["", f"- {row['summary']}", f"  {row['figures']}"]
    parts += ["", message.more] if message.more else []
    parts += ["", f"What to do: {message.action}"] if message.action and not message.over else []
    links = {"Operator page": message.page, "Runbook": message.runbook}
    parts += ["", *(f"{words}: {address}" for words, address in links.items() if address)]
    return "\n".join(parts).rstrip() + "\n"


def _rows(message: Message) -> list[dict[str, str]]:
    return [{"summary": line.summary, "figures": _figures(line)} for line in message.lines]


def _figures(line: Line) -> str:
    when = f"for {line.lasted}, from {moment(line.since)}" if line.lasted else f"since {moment(line.since)}"
    new = "new" if line.new and not line.lasted else ""
    return " · ".join(part for part in (new, line.alert.severity, line.figures, line.curve, when) if part)
