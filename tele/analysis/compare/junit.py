"""Checks as JUnit XML, which continuous integration shows as tests."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from tele.analysis.comparisons import Check

__all__ = ["junit"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(experiment: str, checks: Sequence[Check]) -> bytes:
    """Return one test suite, a test case for each check: one that is not well is a failure, with its words."""
    failed = sum(not one.ok for one in checks)
    suite = ET.Element("testsuite", name=_text(experiment), tests=str(len(checks)), failures=str(failed), errors="0")
    for one in checks:
        case = ET.SubElement(
            suite, "testcase", classname=_text(f"{experiment}.{one.kind}"), name=_text(f"{one.said} [{one.group}]")
        )
        if one.ok:
            ET.SubElement(case, "system-out").text = _text(one.words)
        else:
            ET.SubElement(case, "failure", message=_text(one.words), type=one.kind).text = _text(one.words)
    root = ET.Element("testsuites", tests=str(len(checks)), failures=str(failed))
    root.append(suite)
    ET.indent(root)
    found: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def _text(value: str) -> str:
    """`value` without the characters that XML has no way to write."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
