"""What a lake says was ordered of a network: the history that the forecast is made from.

The lines of an order are those that its first decision placed or promised; what nobody could serve has no
row there, so a SKU that was sold out looks as if it had not been wanted for that while.
"""

import duckdb
import numpy as np
import pyarrow as pa

from models.heap import Slot
from models.intake.columns import instants
from models.planning.foreseen import Lines
from models.routing.arrays import Count
from models.routing.network import Network
from schemas.kinds import INSTANT

_LINES = """
SELECT d.decided_at, d.region, a.sku, sum(a.qty)::BIGINT AS qty,
    (dense_rank() OVER (ORDER BY d.position, d."index", d.partition) - 1)::BIGINT AS "order"
FROM decisions d JOIN allocations a USING (partition, position, order_id)
WHERE d.tenant = ? AND d.network = ? AND d.kind = 'ROUTE' AND a.event IN ('placed', 'planned')
GROUP BY d.partition, d.position, d."index", d.decided_at, d.region, a.line_no, a.sku
ORDER BY "order", a.line_no
"""


def read_lines(connection: duckdb.DuckDBPyConnection, network: Network) -> Lines:
    """The lines ordered so far, in the codes of a network; those of names that it forgot are left out."""
    tenant, name = network.key.split("/")
    found = connection.execute(_LINES, [tenant, name]).to_arrow_table()
    columns = {c: found[c].combine_chunks() for c in found.column_names}
    sku, region = (
        network.names[f"{kind}s"].find(columns[kind].cast(pa.string())).astype(np.int64)
        for kind in ("sku", "region")
    )
    weight, volume, needs = _attributes(network)
    known = (sku >= 0) & (region >= 0)
    at = instants(columns["decided_at"].cast(INSTANT))
    return Lines(
        order=columns["order"].to_numpy()[known],
        at=at[known],
        sku=sku[known],
        region=region[known],
        qty=columns["qty"].to_numpy()[known],
        weight_g=weight[sku[known]],
        volume_cm3=volume[sku[known]],
        needs=needs[sku[known]],
    )


def _attributes(network: Network) -> np.ndarray:
    """(3, skus) grams and cm3 of a unit and capability bits, from the orders that the network remembers."""
    attributes = np.zeros((3, len(network.names["skus"])), np.int64)
    lines = network.heap[Slot.LINES][: int(network.counts[Count.LINES])]
    used = lines[lines["qty"] > 0]
    attributes[:, used["sku"]] = used["weight_g"], used["volume_cm3"], used["needs"]
    return attributes
