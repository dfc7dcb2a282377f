"""Several callables for one question: ensembles that vote, and hedged requests of which the first answer counts."""

from tele.telemetry.ensembles.ensemble import Ballot, Ensemble, ensemble
from tele.telemetry.ensembles.hedge import Hedge, hedge
from tele.telemetry.ensembles.normalise import NORMALISATIONS
from tele.telemetry.ensembles.voting import Outcome, Vote

__all__ = ["NORMALISATIONS", "Ballot", "Ensemble", "Hedge", "Outcome", "Vote", "ensemble", "hedge"]
