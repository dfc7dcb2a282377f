"""Dollars from tokens: three price tables in one form, names resolved by rule, what was recorded priced again.

Kept light, for every recording process passes by here: the tables themselves are in `tele.telemetry.prices.tables`.
"""

from tele.telemetry.prices.rates import Price
from tele.telemetry.prices.usage import Usage

__all__ = ["Price", "Usage"]
