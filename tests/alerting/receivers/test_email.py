from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.core import mail

from hub.alerting.receivers.base import DeliveryError, RefusedError
from hub.alerting.receivers.email import MAX_SUBJECT, Email, EmailOptions
from hub.core.groups import ACKNOWLEDGED, CHANGED, FIRED, OVER
from hub.core.redaction import Secret
from tests.alerting.messages import EVIL, INCIDENT, LIFE, PAGE, evil, message, storm
from tests.alerting.receivers.test_trouble import own_locals
from tests.support.receivers import LOCALHOST, SMTP_PASSWORD, SMTP_USER, Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


def make(port: int, timeout: float = 10.0, password: str = SMTP_PASSWORD, **changes: Any) -> Email:
    usual: dict[str, Any] = {
        "type": "email", "to": ["ops@example.com", "boss@example.com"], "sender": "hub@example.com", "host": LOCALHOST,
        "port": port, "user": SMTP_USER, "password": Secret(password), "security": "none",
    }  # fmt: skip
    return Email("ops", EmailOptions(**{**usual, **changes}), timeout)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as one:
        yield one


def part(one: EmailMessage, kind: str) -> str:
    found = one.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def test_a_mail_has_text_and_html_with_all_that_somebody_needs(mailbox):
    make(mailbox.port).deliver(message(), {})
    [one] = mailbox.mails
    assert "[Production] high: chat, tenant acme: 120 errors within 5 min" == one["Subject"]
    assert ("hub@example.com", "ops@example.com, boss@example.com", "auto-generated") == (
        one["From"], one["To"], one["Auto-Submitted"],
    )  # fmt: skip
    for kind in ("plain", "html"):
        told = part(one, kind)
        for words in ("Firing: ", "120 errors, threshold 10 errors", "▁▁▃█", "2026-11-18 11:05:40 UTC", "acme"):
            assert words in told
    assert f"{PAGE}#alert={LIFE}" in part(one, "plain")
    assert f'<a href="{PAGE}#alert={LIFE}"' in part(one, "html")


def test_the_mails_of_an_incident_are_one_thread(mailbox):
    receiver = make(mailbox.port)
    memory: dict[str, Any] = {}
    for number, kind in enumerate((FIRED, CHANGED, ACKNOWLEDGED, OVER), 1):
        memory = receiver.deliver(message(kind, number=number, by="ann"), memory)
    first, *others = mailbox.mails
    assert f"<hub.{INCIDENT}.1@example.com>" == first["Message-ID"]
    assert [None, None] == [first["In-Reply-To"], first["References"]]
    for number, one in enumerate(others, 2):
        assert f"<hub.{INCIDENT}.{number}@example.com>" == one["Message-ID"]
        assert first["Message-ID"] == one["In-Reply-To"] == one["References"]
        assert f"Re: {first['Subject']}" == one["Subject"]
    assert "Resolved: " in part(others[-1], "plain")


def test_nothing_of_a_tenant_s_name_becomes_a_header_or_markup(mailbox):
    make(mailbox.port).deliver(evil(), {})
    [one] = mailbox.mails
    assert {"Subject", "From", "To", "Date", "MIME-Version", "Message-ID", "Auto-Submitted", "Content-Type"} == set(one)
    html = part(one, "html")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "http://evil.example" not in [line.partition(": ")[2] for line in part(one, "plain").splitlines()]
    assert EVIL not in part(one, "plain")
    assert len(one["Subject"].strip()) <= MAX_SUBJECT


def test_a_storm_is_one_mail_that_says_how_many(mailbox):
    make(mailbox.port).deliver(storm(), {})
    [one] = mailbox.mails
    assert "200 alerts" in one["Subject"]
    assert "and 190 more" in part(one, "plain")


def test_what_is_critical_is_important(mailbox):
    make(mailbox.port).deliver(message(severity="critical"), {})
    assert "high" == mailbox.mails[0]["Importance"]


# Django 6.1 would have a project set MAILERS; pytest-django sets what was there before.
@pytest.mark.filterwarnings("default")
def test_without_a_server_of_its_own_the_project_s_settings_hold(settings):
    settings.DEFAULT_FROM_EMAIL = "Hub <hub@example.org>"
    options = EmailOptions(type="email", to=["ops@example.com"])
    assert Email("ops", options).deliver(message(), {})["subject"]
    [sent] = mail.outbox
    assert f"<hub.{INCIDENT}.1@example.org>" == sent.extra_headers["Message-ID"]


# --- trouble ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["421 4.3.2 going down", "451 4.7.1 greylisted", "452 4.2.2 full"])
def test_not_now(mailbox, answer):
    mailbox.answer = answer
    with pytest.raises(DeliveryError, match=f"answered {answer[:3]}") as caught:
        make(mailbox.port).deliver(message(), {})
    assert DeliveryError is type(caught.value)


@pytest.mark.parametrize("answer", ["550 5.1.1 no such user", "554 5.7.1 spam: xoxb-secret"])
def test_never(mailbox, answer):
    mailbox.answer = answer
    with pytest.raises(RefusedError) as caught:
        make(mailbox.port).deliver(message(), {})
    assert f"the mail server answered {answer[:3]}" == str(caught.value)


def test_a_wrong_password_is_refused_and_not_shown(mailbox, caplog):
    caplog.set_level(logging.DEBUG, "hub")
    receiver = make(mailbox.port, password="wrong-password-of-a-mail-server")
    with pytest.raises(RefusedError, match="answered 535") as caught:
        receiver.deliver(message(), {})
    shown = [str(caught.value), repr(receiver), repr(receiver._options), caplog.text, *own_locals(caught.value)]
    assert not [text for text in shown if "wrong-password" in text]


def test_a_server_that_hangs_costs_an_attempt_its_time_and_one_thread(mailbox):
    mailbox.hangs = True
    receiver = make(mailbox.port, 0.5)
    threads = threading.active_count()
    for _ in range(3):
        with pytest.raises(DeliveryError, match=r"no answer within 0.5 s|has not ended yet|mail"):
            receiver.deliver(message(), {})
    assert threading.active_count() <= threads + 1


def test_a_server_without_tls_gets_no_password(mailbox):
    with pytest.raises(DeliveryError, match="SMTPNotSupportedError"):
        make(mailbox.port, security="starttls").deliver(message(), {})
    assert [] == mailbox.mails


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind((LOCALHOST, 0))
        with pytest.raises(DeliveryError, match="ConnectionRefusedError"):
            make(taken.getsockname()[1]).deliver(message(), {})
