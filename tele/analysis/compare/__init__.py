"""Compare: two sides of a log, the test that the data ask for, and verdicts in words."""

from tele.analysis.compare.compare import Options, compare, compared
from tele.analysis.compare.planning import piloted, plan, spread
from tele.analysis.compare.significance import judged

__all__ = ["Options", "compare", "compared", "judged", "piloted", "plan", "spread"]
