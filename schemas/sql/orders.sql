-- orders: one row per order, as its latest decision left it.
-- Definition: the latest decision by (position, index) that is not a what-if (SHADOW); an order lives in
-- one log partition. promise_at is the latest commitment, first_promise_at the original one (OTD is
-- measured against the original; OpenReference DP13). Costs and units are those of the latest decision.
-- Source: domain.md D.7 (outcomes), D.10 (OTD variants).
SELECT
    tenant,
    network,
    order_id,
    revision,
    region,
    channel,
    outcome,
    kind AS latest_kind,
    trigger AS latest_trigger,
    selection,
    hold_reason,
    decided_at,
    min(decided_at) OVER per_order AS first_decided_at,
    count(*) OVER per_order AS decisions,
    promise_at,
    first_value(promise_at IGNORE NULLS) OVER in_order AS first_promise_at,
    backorder_due_at,
    lines,
    units_ordered,
    units_served,
    units_backordered,
    units_unserved,
    nodes,
    lane_ids,
    total_minor,
    carbon_g,
    late_probability,
    margin_minor,
    partition,
    position,
    "index"
FROM decisions
WHERE kind <> 'SHADOW'
WINDOW
    per_order AS (PARTITION BY tenant, network, order_id),
    in_order AS (
        PARTITION BY tenant, network, order_id
        ORDER BY position, "index"
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
QUALIFY
    row_number() OVER (
        PARTITION BY tenant, network, order_id ORDER BY position DESC, "index" DESC
    ) = 1
