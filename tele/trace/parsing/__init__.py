"""The parser beyond `parse_chain`: streams, other vocabularies, code, validation, documents of XML.

`tags` finds tags, `reading` makes drafts of events of them, `settling` makes events of drafts; `wellformed` does the
first two with lxml where it can.
"""

from tele.trace.parsing.checking import TextCheck, extract_metadata, validate_text
from tele.trace.parsing.code import CodeBlock, Parts, extract_code, split_events_and_code
from tele.trace.parsing.sections import VOCABULARIES, Section, read_section, read_sections
from tele.trace.parsing.stream import ChainStream, stream_events
from tele.trace.parsing.wellformed import parse_xml

__all__ = [
    "VOCABULARIES",
    "ChainStream",
    "CodeBlock",
    "Parts",
    "Section",
    "TextCheck",
    "extract_code",
    "extract_metadata",
    "parse_xml",
    "read_section",
    "read_sections",
    "split_events_and_code",
    "stream_events",
    "validate_text",
]
