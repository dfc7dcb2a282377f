"""What is taken out of records: rules as data, and the same gate for what is stored already."""

from tele.telemetry.redaction.rules import PERSONAL, SECRETS, Rule

__all__ = ["PERSONAL", "SECRETS", "Rule"]
