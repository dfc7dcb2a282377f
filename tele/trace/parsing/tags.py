"""Tags in a text of any kind: found in one pass, with what must not be read (code, comments) passed over.

The same patterns serve every vocabulary. Each of them is linear: groups that repeat are possessive, a quoted value ends
before a tag of the vocabulary, and what begins but never ends is searched for once.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html.entities import html5

from tele.errors import BadInput

__all__ = ["PAIR", "PLAIN_ATTRIBUTES", "Hidden", "attributes", "decode", "folded", "plain", "tag_pattern"]

SLASH, NAME, INSIDE, END, OPENER, QUOTED, FENCE, TILDES = range(1, 9)
"""Groups of a tag pattern."""

_VALID_NAME = re.compile(r"[^\W\d][\w.-]*")
_ATTRIBUTE = re.compile(r"""([^\s=/>"'<]+)(?:(\s*=\s*)("[^"]*"|'[^']*'|["']?[^\s"'<>]*))?""", re.ASCII)
_QUOTES = "\"'\u201c\u201d\u2018\u2019"
PLAIN_ATTRIBUTES = re.compile(r'(?:\s++[a-z_][a-z0-9_.-]*+="(?:[^"<>&\s=]++(?: [^"<>&\s=]++)*+)?+")*+', re.ASCII)
"""Attributes that stand for themselves: nothing to decode, and no space to fold."""
_AS_ASKED = re.compile(r'(?:\s+[a-z_][a-z0-9_.-]*="[^"<>]*")*+\s*/?', re.ASCII)
PAIR = re.compile(r'([a-z_][a-z0-9_.-]*)="([^"]*)"', re.ASCII)
_SPACE = re.compile(r"[ \t\r\n\f\v]++")
_ENTITY = re.compile(r"&(?:#0{0,99}([0-9]{1,7})|#[xX]0{0,99}([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")
_CODE_END = re.compile(r"</code\s*>", re.IGNORECASE | re.ASCII)
_COMMENT_END = re.compile(r"-->")
_QUOTE_END = re.compile(r"[`\n]")
_CDATA_END = re.compile(r"\]\]>")
_LONGEST_FENCE = 6  # longer ones are told apart no further, so that few kinds can be searched for in vain


@lru_cache(maxsize=64)
def tag_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern that finds tags of `names`, and openers of what may hide them; `lastindex` tells them apart.

    Raises BadInput for a name that is none of a tag. Each alternative begins with a character, so that the search can
    pass over all others fast.
    """
    for name in names:
        if not _VALID_NAME.fullmatch(name):
            raise BadInput(f"{name!r} is no name of a tag: use letters, digits, `_`, `-` and `.`.")
    known = "|".join(re.escape(name) for name in names)
    double, single = (rf"{mark}(?:[^{mark}<]++|<(?!/?(?:{known})[\s/>]))*+{mark}" for mark in "\"'")
    inside = rf"(?:[^<>=]++|=\s*+(?:{double}|{single})?+)*+"
    return re.compile(
        rf"<(?:(/?)({known})(?=[\s/>])({inside})(>?)|(!--|!\[CDATA\[))"
        rf"|`(</?(?:{known})(?=[\s/>]))"
        r"|`(?<!``)(``++)[^`~<\n]*+\n|~(?<!~~)(~~++)[^`~<\n]*+\n",
        re.IGNORECASE | re.ASCII,
    )


class Hidden:
    """What stands in comments, CDATA, and, unless code counts, in `<code>`, fences and inline code."""

    __slots__ = ("closer", "code", "in_code", "unending")

    def __init__(self, *, in_code: bool) -> None:
        self.in_code = in_code
        self.unending: set[str] = set()
        self.closer = _COMMENT_END
        """What the reading waits for, when `past` says that the text ends too early."""
        self.code: list[tuple[int, int, int, int]] = []
        """Code that was met: start, start of its text, end of its text, end; in `<code>` and in fences."""

    def past(self, text: str, match: re.Match[str], base: int, *, final: bool) -> int:
        """Return where to read on behind what `match` opens; -1 where that is not known before more text has come."""
        if match.lastindex == QUOTED:
            return self._past_quoted(text, match, final=final)
        kind, closer = self._closer(text, match)
        if closer is None or kind in self.unending:
            return match.end()
        end = closer.search(text, match.end() - 1 if match.lastindex in (FENCE, TILDES) else match.end())
        if end is not None:
            if kind not in ("!--", "![cdata["):
                self.code.append((base + match.start(), base + match.end(), base + end.start(), base + end.end()))
            return end.end()
        if not final:
            self.closer = closer
            return -1
        self.unending.add(kind)  # none will be found further on either: the whole stays linear
        return match.end()

    def _past_quoted(self, text: str, match: re.Match[str], *, final: bool) -> int:
        """Return the end of inline code that begins with a tag and ends with one, in one line."""
        if self.in_code or text[max(match.start() - 1, 0)] not in " \t\n>([{\"'`":
            return match.start() + 1
        end = _QUOTE_END.search(text, match.end())
        if end is None and not final:
            self.closer = _QUOTE_END
            return -1
        hides = end is not None and end[0] == "`" and text[end.start() - 1] == ">"
        return end.end() if end is not None and hides else match.start() + 1

    def _closer(self, text: str, match: re.Match[str]) -> tuple[str, re.Pattern[str] | None]:
        if match.lastindex == OPENER:
            kind = match[OPENER].lower()
            return kind, _COMMENT_END if kind == "!--" else _CDATA_END
        if self.in_code:
            return "", None
        if match.lastindex in (FENCE, TILDES):
            marks = text[match.start() : match.end(match.lastindex)]
            if not _begins_a_line(text, match.start()):
                return "", None
            size = min(len(marks), _LONGEST_FENCE)
            return marks[:size], _fence_end(marks[0], size)
        return "code", _CODE_END


def _begins_a_line(text: str, at: int) -> bool:
    """Whether nothing but a little space stands before `at` in its line, or in its element."""
    for back in range(at - 1, max(at - 10, -1), -1):
        if text[back] not in " \t":
            return text[back] in "\n\r>"
    return at < 9  # noqa: PLR2004 (the text begins here)


@lru_cache(maxsize=16)
def _fence_end(mark: str, size: int) -> re.Pattern[str]:
    return re.compile(rf"\n[ \t]*+{re.escape(mark)}{{{size},}}+[ \t]*+(?=[\n\r<]|\Z)")


@lru_cache(maxsize=1024)
def attributes(inside: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the attributes of a tag, names in lower case, and what in their writing is not as asked for.

    The dictionary is shared: it is not to be changed. Of an attribute that stands twice, the first counts.
    """
    if PLAIN_ATTRIBUTES.fullmatch(inside) and len(found := dict(PAIR.findall(inside))) == inside.count("="):
        return found, ()
    style: tuple[str, ...] = ()
    if _AS_ASKED.fullmatch(inside):
        pairs = PAIR.findall(inside)
    else:
        written = _ATTRIBUTE.findall(inside.rstrip().removesuffix("/"))
        pairs, style = [(name.lower(), _unquoted(value)) for name, _, value in written], _style(written)
    found = dict(reversed(pairs))
    return {name: folded(decode(found[name])) for name, _ in pairs}, style


def folded(value: str) -> str:
    """Return the value of an attribute without outer space, and with one space where several are."""
    return _SPACE.sub(" ", value).strip(" ")


def _unquoted(value: str) -> str:
    paired = len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]
    return value[1:-1] if paired else value.strip(_QUOTES)


def _style(written: list[tuple[str, str, str]]) -> tuple[str, ...]:
    said = []
    for name, equals, value in written:
        if name != name.lower():
            said.append("upper_case")
        if equals.strip() != equals:
            said.append("spaced_attribute")
        if not value:
            said.append("no_value")
        elif len(value) > 1 and value[0] == value[-1] == "'":
            said.append("single_quotes")
        elif len(value) == 1 or value[0] != '"' or value[-1] != '"':
            said.append("unquoted_value")
        if ">" in value:
            said.append("gt_in_attribute")
    return tuple(dict.fromkeys(said)) or ("odd_attributes",)


def plain(raw: str) -> str:
    """Return the text of an element: entities decoded, except in CDATA, line ends one of a kind, outer space off."""
    if "\r" in raw:
        raw = raw.replace("\r\n", "\n").replace("\r", "\n")
    if "<![" not in raw:
        return decode(raw).strip()
    parts: list[str] = []
    at = 0
    while (start := raw.find("<![CDATA[", at)) >= 0 and (end := raw.find("]]>", start)) >= 0:
        parts += decode(raw[at:start]), raw[start + 9 : end]
        at = end + 3
    return "".join((*parts, decode(raw[at:]))).strip()


def decode(text: str) -> str:
    """Return `text` with its entities decoded: XML's and HTML's, where a semicolon ends them; others stay."""
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name is not None:
        return html5.get(f"{name};", match[0])
    number = int(decimal) if decimal else int(hexadecimal, 16)
    legal = number in (9, 10, 13) or 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD or number > 0xFFFF  # noqa: PLR2004
    return chr(number) if legal and number <= 0x10FFFF else match[0]  # noqa: PLR2004 (characters of XML 1.0)
