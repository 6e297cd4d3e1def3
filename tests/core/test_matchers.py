from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import ConfigurationError
from hub.core.matchers import MAX_MATCHERS, MAX_VALUE, Matcher, match, parse_matchers
from tests import strategies  # noqa: F401 - loads the profile

SIGNS = st.sampled_from(["=", "!=", "~", "!~"])
LABELS = st.sampled_from(["tenant", "consumer", "_x1"])


@pytest.mark.parametrize(
    ("text", "tenant", "expected"),
    [
        ("tenant=acme", "acme", True),
        ("tenant=acme", "acme2", False),
        ("tenant!=acme", "globex", True),
        ("tenant=", "", True),
        ("tenant~ac*", "acme", True),
        ("tenant~ac*|glo*", "globex", True),
        ("tenant!~ac*|glo*", "globex", False),
        ("tenant~*", "", True),
        ("tenant~a*b*c", "a-b-b-c", True),
        ("tenant~ab*ba", "aba", False),
        ("tenant~.*", "acme", False),
        ('tenant="a,b"', "a,b", True),
        ('tenant="say \\"a\\\\\\""', 'say "a\\"', True),
    ],
)
def test_a_matcher_compares_a_label(text, tenant, expected):
    [matcher] = parse_matchers(text)
    assert expected == matcher.matches({"tenant": tenant})


def test_a_label_that_is_not_there_is_empty():
    assert match(parse_matchers("tenant=,consumer!=chat"), {})


def test_all_must_match_and_none_matches_everything():
    matchers = parse_matchers(["tenant=acme", "severity=high, consumer~chat*"])
    assert match(matchers, {"tenant": "acme", "severity": "high", "consumer": "chat.Chat"})
    assert not match(matchers, {"tenant": "acme", "severity": "low", "consumer": "chat.Chat"})
    assert match((), {})


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_stars_match_as_in_a_shell(pattern, text):
    assert fnmatchcase(text, pattern) == Matcher("x", "~", pattern).matches({"x": text})


@given(st.lists(st.builds(Matcher, LABELS, SIGNS, st.text(max_size=20)), max_size=5).map(tuple))
def test_what_is_written_is_read_again(matchers):
    assert matchers == parse_matchers(",".join(map(str, matchers)))


@pytest.mark.parametrize(
    "text", ["tenant", "=acme", "tenant==a b,,", "1x=a", "tenant=a,nonsense", 'tenant="a', "a=b=c,x"]
)
def test_what_cannot_be_read_is_refused_with_the_remedy(text):
    if text == "a=b=c,x":
        assert "b=c" == parse_matchers("a=b=c")[0].value
    with pytest.raises(ConfigurationError, match="write label=value"):
        parse_matchers(text)


@pytest.mark.parametrize("given", [None, 5, {"tenant": "acme"}, ["tenant=a", 5]])
def test_what_is_no_text_is_refused_too(given):
    with pytest.raises(ConfigurationError, match="no matcher"):
        parse_matchers(given)


@pytest.mark.parametrize("given", [["tenant=a"] * (MAX_MATCHERS + 1), "tenant=" + "a" * (MAX_VALUE + 1)])
def test_there_is_a_bound_to_it(given):
    with pytest.raises(ConfigurationError, match="at most"):
        parse_matchers(given)
