"""
Matchers: whom something is meant for, said in labels.

``tenant=acme`` and ``tenant!=acme`` compare; ``consumer~chat*|news*`` and ``consumer!~test*`` take alternatives in
which ``*`` stands for anything. A label that is not there is empty. These are no regular expressions on purpose:
operators write them, and whatever they write is matched in linear time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hub.core.errors import ConfigurationError

EQUAL, NOT_EQUAL, LIKE, NOT_LIKE = "=", "!=", "~", "!~"
#: Characters that one matcher may have, and matchers that are taken together.
MAX_VALUE, MAX_MATCHERS = 400, 20

_ONE = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*(!=|!~|=|~)\s*(?:"((?:[^"\\]|\\["\\])*)"|([^,"]*?))\s*(?:,|$)')
_REMEDY = 'write label=value, label!=value, label~one*|other* or label!~one*, and "quotes" around a value with a comma'


@dataclass(frozen=True, slots=True, order=True)
class Matcher:
    """One condition on one label."""

    label: str
    sign: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil it."""
        found = labels.get(self.label, "")
        if self.sign == EQUAL:
            return found == self.value
        if self.sign == NOT_EQUAL:
            return found != self.value
        return _like(self.value, found) == (self.sign == LIKE)

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.label}{self.sign}"{value}"'


def _like(pattern: str, text: str) -> bool:
    return any(_fits(alternative, text) for alternative in pattern.split("|"))


def _fits(pattern: str, text: str) -> bool:
    """Whether a text is the pattern, in which ``*`` is anything; the parts are sought from left to right, once."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    last = rest.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in rest:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether the labels fulfil all of them; none of them is fulfilled by everything."""
    return all(matcher.matches(labels) for matcher in matchers)


def parse_matchers(given: object) -> tuple[Matcher, ...]:
    """
    Matchers from a text in which commas separate them, or from a list of such texts.

    Raises:
        ConfigurationError: It can't be read; says what stands where, and the remedy.
    """
    if isinstance(given, str):
        matchers = _parse(given)
    elif isinstance(given, list | tuple) and all(isinstance(text, str) for text in given):
        matchers = tuple(matcher for text in given for matcher in _parse(text))
    else:
        raise ConfigurationError(f"{given!r} is no matcher; {_REMEDY}")
    if len(matchers) > MAX_MATCHERS or any(len(matcher.value) > MAX_VALUE for matcher in matchers):
        raise ConfigurationError(f"too much to match: at most {MAX_MATCHERS} matchers of {MAX_VALUE} characters each")
    return matchers


def _parse(text: str) -> tuple[Matcher, ...]:
    matchers, place = [], 0
    while place < len(text.rstrip()):
        found = _ONE.match(text, place)
        if found is None:
            raise ConfigurationError(f"{text[place:]!r} in {text!r} is no matcher; {_REMEDY}")
        label, sign, quoted, bare = found.groups()
        value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        matchers.append(Matcher(label, sign, value))
        place = found.end()
    return tuple(matchers)
