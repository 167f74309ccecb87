"""Constants of the simulated world of deliveries: each with its unit and its origin.

*Olist*, *SCMS* and *trucks* mark aggregates of real deliveries, which
``python -m models.training.statistics DATA_DIR`` prints (Olist: the earlier half only, so that the
later half stays unseen). *Assumed* marks a choice of ours that no data at hand supports.
"""

# Road parcels, Olist: median distance, median transit and log spread of each bucket of distance.
# The first knot (same postcode) repeats the nearest bucket; the last goes on at the 0.1 h/km seen
# between 870 and 2,680 km.
PARCEL_DISTANCE_KM = (0, 6, 17, 36, 77, 143, 324, 489, 700, 873, 1208, 1777, 2204, 2685, 8000)
PARCEL_TRANSIT_HOURS = (52, 52, 53, 68, 73, 137, 153, 174, 199, 216, 279, 336, 338, 391, 920)
PARCEL_LOG_SPREAD = (1, 1, 0.91, 0.7, 0.84, 0.53, 0.55, 0.53, 0.47, 0.5, 0.52, 0.54, 0.5, 0.51, 0.5)

HAUL_HOURS_PER_KM = 24 / 250  # trucks: the fleet plans 250 km a day
HAUL_LATE_SHARE_Z = 0.58  # trucks: 71.9 % of trips miss the plan, as a normal quantile
HAUL_LOG_SPREAD = 0.5  # Olist: long road distances; the trucks' own times are too damaged to use

# Fixed hours at both ends, then hours per km. Assumed: 700 km/h, 30 km/h (16 knots), 25 km/h.
AIR_HOURS = (30.0, 1 / 700)
SEA_HOURS = (240.0, 1 / 30)
RAIL_HOURS = (24.0, 1 / 25)
OTHER_LOG_SPREAD = (0.35, 0.30, 0.40)  # air, sea, rail; assumed

LANE_LOG_SPREAD = 0.35  # lanes of one distance differ in what they usually take; assumed
PUBLISHED_LOG_ERROR = 0.15  # published against usual transit of a lane; assumed
UNPUBLISHED_SHARE = 0.03  # lanes that publish no transit and show 0; assumed
TRANSIT_HOURS_MIN = 0.5  # next door; assumed

WEEKEND_TRANSIT = 1.01  # Olist: decided at a weekend against a weekday
PEAK_TRANSIT = 1.258  # Olist: Black Friday week against usual weeks; promotion severity 1
WEATHER_TRANSIT = (1.5, 1.3, 1.6, 1.2)  # road, air, sea, rail at severity 1; assumed

HANDLING_HOURS = 38.4  # Olist: median of weekdays, approval to carrier
HANDLING_LOG_SPREAD = 0.88  # Olist
WEEKEND_HANDLING = 1.693  # Olist
PEAK_HANDLING = 1.331  # Olist; promotion severity 1
UNITS_HANDLING_POWER = 0.16  # Olist: 1.245 times for three and more units (mean 4) against one
LINES_HANDLING_POWER = 0.40  # Olist: 1.343 times for two and more lines (mean 2.1) against one
MOST_UNITS_KNOWN = 8.0  # Olist has hardly an order of more; handling is held flat beyond
MOST_LINES_KNOWN = 4.0  # likewise
HEAVY_FROM_KG = 5.0  # Olist: handling is flat below
HEAVY_UP_TO_KG = 40.0  # Olist: hardly an order is heavier
HEAVY_HANDLING_POWER = 0.47  # Olist: 2.15 times for 20 to 40 kg, per ln(1 + kg) between the two
HOUR_HANDLING_WAVE = (-0.039, 0.034)  # Olist: sine and cosine of the log over the UTC hour
LOADED_HANDLING = 0.5  # added share at a fully booked node, growing as load squared; assumed
SCARCE_HANDLING = 0.25  # added share where stock just runs out, none from twice the need; assumed
SCARCE_BELOW_COVER = 0.2  # twice the need, in units of STOCK_COVER

# ln(promised hours / (published transit + usual handling)): location per mode (road, air, sea,
# rail) and spread. Located by drawing from this world so that the share late of promises made from
# the lane is, for road parcels, that of Olist's earlier half (4.5 %), and SCMS's elsewhere: air
# 9.0 %, ocean 21.2 %; rail takes truck's 14.9 %. Spread: Olist.
PROMISE_LOG_MARGIN = (1.32, 1.05, 0.52, 0.75)
PROMISE_LOG_SPREAD = 0.254

PARCEL_WEIGHT_KG = (0.85, 1.35)  # Olist: median, log spread
FREIGHT_WEIGHT_KG = (613.0, 1.98)  # SCMS, air: median, log spread
"""The widest of SCMS's modes in relative terms; sea's median (5,864 kg) lies well within."""
