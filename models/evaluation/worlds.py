"""The seeded experiment: one world, every policy, as the targets of decision quality ask."""

import numpy as np

from models.evaluation.case import Case, make_case
from models.evaluation.compare import Compared, compare
from models.planning.demand import Expected
from models.planning.epochs import PricePlanner
from models.planning.orders import LINES
from models.routing.network import Network
from models.routing.scoring import RULES
from models.simulation.fulfilment import LINE_SHARES, UNSERVED_MINOR, World, draw_world, records_of
from schemas.codec import to_slice

LINES_PER_ORDER = float(np.arange(1, LINES + 1) @ np.array(LINE_SHARES))


def foreseen_in(world: World, network: Network, orders: int) -> Expected:
    """What the world's forecaster expects after so many orders, in the codes of a network."""
    skus = [int(name[1:]) for name in network.names["skus"]]
    regions = [int(name[1:]) for name in network.names["regions"]]
    left = (len(world.at) - orders) * LINES_PER_ORDER
    return Expected(
        units=world.foreseen[np.ix_(skus, regions)] * left,
        lines=np.array(LINE_SHARES),
        line_qty=np.ones(len(skus)),
        weight_g=np.full(len(skus), 1_000),
        volume_cm3=np.zeros(len(skus), np.int64),
        needs=np.ones(len(skus), np.int64),
    )


def run_world(seed: int, slack: float, every: int, orders: int = 1_500) -> Compared:
    """Draw a world and run every policy on it; the forecast is off by up to 30 % in every cell."""
    world = draw_world(seed, slack, orders)
    case = make_case(to_slice(list(records_of(world)), 0, 0), lambda _: RULES, UNSERVED_MINOR)
    return compare(case, planner_of(world, case, seed), every)


def planner_of(world: World, case: Case, seed: int) -> PricePlanner:
    """The planner that has the world's forecast."""
    return PricePlanner(
        lambda network, orders: foreseen_in(world, network, orders),
        case.scorer,
        UNSERVED_MINOR,
        seed,
    )
