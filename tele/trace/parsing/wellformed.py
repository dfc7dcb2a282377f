"""Text that is well-formed as a whole, prose and all, is read by lxml; it gives the events that the tokenizer gives.

What XML does not know (fences, inline code, comments that hide, markup inside of a field) is left to the tokenizer, and
so is everything where the two could differ.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tele.errors import BadInput
from tele.trace.parsing.reading import FIELDS, Draft, Note, note_style
from tele.trace.parsing.tags import attributes, folded
from tele.trace.values import json_text

if TYPE_CHECKING:
    from lxml.etree import XMLParser, _Element

__all__ = ["LARGEST", "parse_xml", "read_wellformed"]

LARGEST = 16 * 2**20
"""Characters of a document that is read, 16 MiB."""


_OPEN = re.compile(r"<event(?=[\s/>])((?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+)>", re.IGNORECASE | re.ASCII)
_MOST_ATTRIBUTES = 255
_CROWDED = re.compile(
    rf"""<[^\s!?/<>"'=]++(?:\s++[^\s<>"'=]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+')){{{_MOST_ATTRIBUTES + 1}}}"""
)
_DECLARATION = re.compile(r"\A\ufeff?\s*+<\?xml\s[^<>]*+>")
"""What names an encoding; text has none any more."""
_KNOWN = frozenset(FIELDS)
_LISTED = frozenset({"alternative", "item", "li", "option"})
_LEFT = ("`", "~~~", "<?", "<!--", "<!DOCTYPE", "xmlns")
"""Where one of these stands, the tokenizer reads: XML does not know them, or knows more than is meant."""


def read_wellformed(text: str) -> tuple[list[Draft], list[Note]] | None:
    """Return drafts and notes of a text that is well-formed with its prose; None where the tokenizer has to read it."""
    bare = text.strip()
    if bare[:1] != "<" or bare[-1] != ">" or len(text) > LARGEST or any(mark in text for mark in _LEFT):
        return None
    try:
        root = parse_xml(f"<r>{text}</r>")
    except (BadInput, ImportError):
        return None
    opened = list(_OPEN.finditer(text))
    walk = _Walk(opened)
    return (walk.drafts, walk.notes) if walk.over(root) and len(walk.drafts) == len(opened) else None


class _Walk:
    """Events of a tree, in the order of the document."""

    def __init__(self, opened: list[re.Match[str]]) -> None:
        self.opened = opened
        self.drafts: list[Draft] = []
        self.notes: list[Note] = []

    def over(self, element: _Element, draft: Draft | None = None) -> bool:
        """Read what is in `element`; False where it is no plain tree of events and fields."""
        for child in element:
            tag = child.tag
            name = tag.lower() if isinstance(tag, str) else ""
            if name in ("", "code"):
                return False
            if name == "event":
                inner = self._event(child, draft, upper=name != tag)
                if inner is None or not self.over(child, inner):
                    return False
            elif draft is None or name not in _KNOWN:
                if not self.over(child, draft):
                    return False
            elif name != tag or not self._field(child, draft, name):
                return False
        return True

    def _event(self, element: _Element, outer: Draft | None, *, upper: bool) -> Draft | None:
        place = len(self.drafts)
        if upper or place == len(self.opened):
            return None
        match = self.opened[place]
        said = {name: folded(value) for name, value in element.items()}
        if any(name != name.lower() or name[0] == "{" for name in said):
            return None
        note_style(self.notes, match.start(), attributes(match[1])[1])
        draft = Draft(match.start(), match.end(), said, outer)
        draft.closed = draft.decoded = True
        self.drafts.append(draft)
        return draft

    def _field(self, element: _Element, draft: Draft, name: str) -> bool:
        text = element.text
        if len(element):
            return name == "alternatives" and self._list(element, draft)
        if text is None or name in draft.fields:
            return False
        if name == "alternative":
            draft.items.append(text)
            return True
        draft.fields[name] = text
        if element.get("json") == "true":
            draft.as_json |= {name}
        return True

    def _list(self, element: _Element, draft: Draft) -> bool:
        """Read a list of alternatives, each in its element."""
        if draft.items or "alternatives" in draft.fields or "alternatives" in draft.attributes:
            return False
        texts = [element.text]
        for child in element:
            if child.tag not in _LISTED or len(child):
                return False
            as_json = ' json="true"' if child.get("json") == "true" else ""
            texts += json_text(child.text or "", as_json), child.tail
        draft.items = [text for text in texts if text]
        draft.fields["alternatives"] = ""
        return True


def parse_xml(text: str) -> _Element:
    """Return the root of a document that anyone may have written; raises BadInput where it is not well-formed.

    No entity is resolved, nothing is loaded, and a document type is refused, as it is where entities are made that
    grow or read files. Depth and length of texts are bounded as libxml2 bounds them: 256 elements, 10 MB.
    """
    from lxml import etree

    if len(text) > LARGEST:
        raise BadInput(f"The XML has {len(text)} characters; at most {LARGEST} are read. Split it.")
    if _CROWDED.search(text):  # lxml takes time that grows with the square of their number
        raise BadInput(f"An element of the XML has more than {_MOST_ATTRIBUTES} attributes. Write elements instead.")
    try:
        root = etree.fromstring(_DECLARATION.sub("", text, count=1), _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadInput(f"The XML is not well-formed: {error}.") from None
    if root.getroottree().docinfo.doctype:
        raise BadInput("The XML has a document type, which could name files and entities. Remove it.")
    return root


def _parser() -> XMLParser:
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_comments=False,
        strip_cdata=True,
    )
