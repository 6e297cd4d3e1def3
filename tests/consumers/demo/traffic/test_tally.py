"""Counting, and saying what was counted."""

from consumers.demo.traffic.tally import Progress, Tally, summary


def test_rates_are_of_the_time_since_the_line_before():
    tally = Tally()
    progress = Progress(tally, visitors=30)
    for _ in range(20):
        tally.record_sent("hello")
    assert "sent 4/s  received 0/s" in progress.line(5)
    for _ in range(100):
        tally.record_received(b"hello")
    assert "sent 0/s  received 10/s" in progress.line(15)
    assert progress.line(75).startswith("01:15  open 0/30")


def test_every_connection_is_closed_under_its_code():
    tally = Tally()
    for code in (1000, 1000, 1006):
        tally.record_open()
        tally.record_close(code)
    assert (tally.active, tally.opened, dict(tally.closed)) == (0, 3, {1000: 2, 1006: 1})
    assert "closed 1000:2 1006:1" in summary(tally)


def test_bytes_are_those_of_the_encoded_text():
    tally = Tally()
    tally.record_sent("é")
    assert (tally.sent, tally.sent_bytes) == (1, 2)
