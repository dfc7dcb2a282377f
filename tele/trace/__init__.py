"""Reason: spans as trees, and chains of causal reasoning from what models write."""

from tele.trace.chain import TYPES, Chain, ParseWarning, ReasoningEvent, chain_records
from tele.trace.difference import diff
from tele.trace.parse import parse_chain
from tele.trace.parsing import ChainStream, extract_code, validate_text
from tele.trace.prompt import causal_prompt, repair_prompt
from tele.trace.record import record_chain
from tele.trace.tree import Forest, Node, build

__all__ = [
    "TYPES",
    "Chain",
    "ChainStream",
    "Forest",
    "Node",
    "ParseWarning",
    "ReasoningEvent",
    "build",
    "causal_prompt",
    "chain_records",
    "diff",
    "extract_code",
    "parse_chain",
    "record_chain",
    "repair_prompt",
    "validate_text",
]
