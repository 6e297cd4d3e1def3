"""
Take personal data and secrets out of text before it leaves the process.

Patterns err on the side of hiding: what looks like an e-mail address, a card, phone or social security number, a
bearer token, a password or the query of a URL is replaced by its name in brackets.
"""

import re

#: The longest text that leaves the process, in characters.
MAX_LENGTH = 300
#: What stands this near to a cut may be half of something, in characters.
_UNSURE = 100

_NAMES_OF_SECRETS = (
    r"pass(?:word|wd|phrase)?|secret|token|api[_-]?key|authorization|session(?:id)?|csrf\w*|dsn|credential\w*"
)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(?:bearer|basic)\s+[a-z0-9._~+/=-]{6,}"), "[token]"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), "[token]"),
    # A quoted value ends with its quote, which a cut may have taken.
    (
        re.compile(
            rf"(?i)(\b[\w-]*(?:{_NAMES_OF_SECRETS})[\w-]*['\"]?\s*[:=]\s*)(?:'[^']*'?|\"[^\"]*\"?|[^\s'\",;}}]+)"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:]+:[^\s/@]+@"), r"\1[credentials]@"),
    (re.compile(r"(?i)\b((?:https?|wss?)://[^\s?#'\"<>]+)\?[^\s'\"<>]*"), r"\1?[query]"),
    (re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), "[e-mail]"),
    (re.compile(r"(?<![^\W_])\d{3}-\d{2}-\d{4}"), "[ssn]"),
    (re.compile(r"(?<![^\W_])(?:\d[ -]?){12,}\d(?![^\W_])"), "[card]"),
    (re.compile(r"(?<![\w.])\+\d[\d ().-]{7,16}\d\b|(?<![\w.])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b"), "[phone]"),
)


def redact(text: str) -> str:
    """The text on one line, without personal data or secrets, cut to `MAX_LENGTH` characters."""
    # Cut twice: what follows is cheap on short text, and a replacement may make the text longer.
    line = " ".join(text[: 4 * MAX_LENGTH].split())
    if len(text) > 4 * MAX_LENGTH:
        # Half of an address at the cut would not look like one.
        line = line[:-_UNSURE]
    for pattern, replacement in _PATTERNS:
        line = pattern.sub(replacement, line)
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"
