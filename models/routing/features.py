"""The inputs and outputs of a routing model: the contract between the fold and every ONNX file.

One input row is one candidate lane for one order. A model file carries ``FEATURES_VERSION`` and the
range of each input that it was trained on as metadata; a file of another version is refused, and a
winner whose inputs lie outside the ranges is flagged in its decision.
"""

from enum import IntEnum

FEATURES_VERSION = "route-features-1"
INPUT_NAME = "features"
OUTPUT_NAME = "quantities"


class Feature(IntEnum):
    """Columns of ``features: (n, 16) float32``."""

    DISTANCE_LOG = 0  # ln(1 + lane distance in km)
    LANE_TRANSIT_LOG = 1  # ln(1 + the lane's published transit in hours)
    IS_AIR = 2
    IS_SEA = 3
    WEIGHT_LOG = 4  # ln(1 + kg of the whole order)
    UNITS_LOG = 5  # ln(1 + units of the whole order)
    LINES_LOG = 6  # ln(1 + lines)
    NODE_LOAD = 7  # booked share of the node's capacity for today, 0 to 1; 0 if unbounded
    STOCK_COVER = 8  # min over lines of available / wanted at the node, / 10, cut to 0..1
    WAIT_LOG = 9  # ln(1 + hours until the node's next free dispatch)
    HOUR_SIN = 10  # of the UTC hour of the day, as an angle
    HOUR_COS = 11
    IS_WEEKEND = 12  # Saturday or Sunday, UTC
    WEATHER = 13  # severity in the region, 0 to 1
    PROMOTION = 14  # severity in the region, 0 to 1
    SLACK = 15  # hours from dispatch to the date the customer expects, / 240, cut to -1..1


class Quantity(IntEnum):
    """Columns of ``quantities: (n, 4) float32``."""

    TRANSIT_P50_HOURS = 0
    TRANSIT_P90_HOURS = 1  # never below the median
    LATE_PROBABILITY = 2  # of arriving after the date the customer expects
    HANDLING_HOURS = 3  # from decision to hand-over, apart from waiting for a dispatch slot


N_FEATURES = len(Feature)
N_QUANTITIES = len(Quantity)
