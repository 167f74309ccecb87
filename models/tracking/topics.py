"""What can be told or answered, as one number: a phase, an occasion, or an exception by its code."""

import numpy as np
import numpy.typing as npt

from models.lifecycle.transitions import number
from models.policy.answers import Occasion
from models.policy.document import Policy
from schemas.codes import ExceptionCode

OCCASIONS_FROM, EXCEPTIONS_FROM, TOPICS = 32, 64, 128
"""Below the first a topic is a phase; its number is a bit of ``told`` as long as it is no exception."""


def topic_of(occasion: Occasion) -> int:
    """The number of an occasion."""
    return OCCASIONS_FROM + list(Occasion).index(occasion)


def answered(policy: Policy) -> npt.NDArray[np.bool_]:
    """(TOPICS,): of which something comes: somebody is told, or an action is taken."""
    found = np.zeros(TOPICS, np.bool_)
    told, actions = policy.notifications, policy.actions
    found[[number(phase) for phase, rules in told.phases.items() if rules]] = True
    found[[topic_of(occasion) for occasion, rules in told.occasions.items() if rules]] = True
    codes = [*told.exceptions.items(), *actions.raised.items(), *actions.escalated.items()]
    found[[EXCEPTIONS_FROM + ExceptionCode[code] for code, answers in codes if answers]] = True
    return found
