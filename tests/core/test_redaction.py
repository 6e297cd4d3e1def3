from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.redaction import MAX_LENGTH, redact

words = st.text(string.ascii_lowercase + " .,:;()!?", max_size=30)


def digit_groups(*sizes: int, separators: str) -> st.SearchStrategy[str]:
    """Groups of digits, all with the same separator between them; no group begins with a zero."""

    def joined(parts: tuple[str, list[int]]) -> str:
        separator, groups = parts
        return separator.join(map(str, groups))

    groups = st.tuples(*(st.integers(10 ** (size - 1), 10**size - 1) for size in sizes)).map(list)
    return st.tuples(st.sampled_from([*separators, ""]), groups).map(joined)


emails = st.from_regex(
    r"[a-z][a-z0-9._+%-]{0,14}[a-z0-9]@[a-z][a-z0-9-]{0,9}[a-z]\.(com|org|co\.uk|museum)", fullmatch=True
)
cards = digit_groups(4, 4, 4, 4, separators=" -") | digit_groups(4, 6, 5, separators=" -")
ssns = st.from_regex(r"[0-9]{3}-[0-9]{2}-[0-9]{4}", fullmatch=True)
phones = st.from_regex(
    r"\+[1-9][0-9]{0,2} [0-9]{3} [0-9]{3,4} [0-9]{3,4}|\([0-9]{3}\) [0-9]{3}-[0-9]{4}|[0-9]{3}[.-][0-9]{3}[.-][0-9]{4}",
    fullmatch=True,
)
secrets = st.text(string.ascii_uppercase + string.digits, min_size=12, max_size=40)


@given(words, emails | cards | ssns | phones, words)
def test_personal_data_does_not_leave(before, personal, after):
    assert personal not in redact(f"{before} {personal} {after}")


@given(words, secrets, st.sampled_from(["password=", "api_key: ", "'token': '", '"session_id":"', "Bearer ", "basic "]))
def test_secrets_do_not_leave(before, secret, name):
    assert secret not in redact(f"{before} {name}{secret}")


@given(words, secrets)
def test_the_query_and_the_credentials_of_a_url_do_not_leave(before, secret):
    assert secret not in redact(f"{before} https://shop.example/pay?code={secret}&x=1")
    assert secret not in redact(f"{before} redis://user:{secret}@db.example/0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no user ann@example.org", "no user [e-mail]"),
        ("card 4111 1111 1111 1111 refused", "card [card] refused"),
        ("to specific.ab12!643582571495409e80563d85060b0266", "to specific.ab12!643582571495409e80563d85060b0266"),
        ("call +49 170 123 4567 now", "call [phone] now"),
        ("ssn 123-45-6789", "ssn [ssn]"),
        ("password='two words' x=1", "password=[secret] x=1"),
        ("{'api_key': 'abc', 'n': 1}", "{'api_key': [secret], 'n': 1}"),
        ("Authorization: Bearer abcdef123456", "Authorization: [secret]"),
        ("ValueError: 17 of 2048 rows", "ValueError: 17 of 2048 rows"),
        ("a\n\tb  c", "a b c"),
        ("", ""),
    ],
)
def test_what_remains_is_still_of_use(text, expected):
    assert expected == redact(text)


@given(st.text(max_size=MAX_LENGTH * 6))
def test_the_length_is_bounded_and_the_text_one_line(text):
    redacted = redact(text)
    assert len(redacted) <= MAX_LENGTH
    assert "\n" not in redacted


mixed = st.lists(words | emails | cards | ssns | phones | st.text(max_size=20), max_size=40).map(" ".join)


@given(mixed)
def test_redacting_again_changes_nothing(text):
    redacted = redact(text)
    # But for a cut, which may leave half of a name in brackets.
    assert redacted == redact(redacted) or redacted.endswith("…")


@given(personal=emails | cards | ssns | phones, at=st.integers(MAX_LENGTH - 40, MAX_LENGTH * 4 + 5), gap=st.booleans())
def test_a_cut_leaves_no_half_of_it(personal, at, gap):
    # Spaces are folded: what stood far beyond the limit may come within it.
    text = (" " if gap else "x") * at + " " + personal
    redacted = redact(text)
    assert personal[:10] not in redacted
