"""The layer between figures and engine: named questions to the log, as SQL text that a user can print."""

from tele.analysis.aggregations.asking import Aggregation, Reader, Recorder, ask
from tele.analysis.aggregations.catalogue import AGGREGATIONS
from tele.analysis.aggregations.requests import CENSUS, COUNTED

__all__ = ["AGGREGATIONS", "CENSUS", "COUNTED", "Aggregation", "Reader", "Recorder", "ask"]
