-- twin_nodes: the state of every node: its stock, and what it has to do, has sent and has trouble with.
-- twin_nodes(moment): the same as it was known at a moment: SELECT * FROM twin_nodes('2026-01-06 14:05:00Z').
-- Definition: is_open and location_type are those of its newest version; on_hand, reserved and available are
-- units over all its cells of stock (view stock_now). Parcels are those of view shipments that left it or are
-- to: at_node_parcels are packed and not handed over, underway_parcels handed over and not delivered,
-- delivered_parcels delivered, lost_parcels lost, damaged or on their way back. offered_orders have had work
-- offered to it and no parcel of it yet. What no log of the lake tells is null.
-- Source: domain.md A28 (digital twin), C.7.
WITH versions AS (
    SELECT
        tenant,
        network,
        node,
        last(location_type ORDER BY position, "index") AS location_type,
        last(open ORDER BY position, "index") AS is_open
    FROM nodes
    WHERE "at" <= moment
    GROUP BY tenant, network, node
),

cells AS (
    SELECT
        tenant,
        network,
        node,
        sku,
        last(on_hand ORDER BY position, "index") AS on_hand,
        last(reserved ORDER BY position, "index") AS reserved,
        last(available ORDER BY position, "index") AS available,
        max("at") AS stock_at
    FROM stock
    WHERE "at" <= moment
    GROUP BY tenant, network, node, sku
),

stocked AS (
    SELECT
        tenant,
        network,
        node,
        count(*) AS skus,
        sum(on_hand)::BIGINT AS on_hand,
        sum(reserved)::BIGINT AS reserved,
        sum(available)::BIGINT AS available,
        max(stock_at) AS stock_at
    FROM cells
    GROUP BY tenant, network, node
),

sent AS (
    SELECT
        tenant,
        network,
        node,
        count(*) FILTER (phase = 'PACKED') AS at_node_parcels,
        count(*) FILTER (phase IN (
            'HANDED_OVER', 'IN_TRANSIT', 'CUSTOMS', 'OUT_FOR_DELIVERY', 'AVAILABLE_FOR_PICKUP', 'ATTEMPT_FAILED'
        )) AS underway_parcels,
        count(*) FILTER (phase IN ('DELIVERED', 'SIGNED')) AS delivered_parcels,
        count(*) FILTER (phase IN ('LOST', 'DAMAGED', 'RETURNING', 'RETURNED')) AS lost_parcels,
        max(last_at) AS parcels_at
    FROM shipments(moment)
    WHERE node IS NOT NULL AND NOT coalesce(is_stand_in, false)
    GROUP BY tenant, network, node
),

work AS (
    SELECT
        tenant,
        network,
        order_id,
        node,
        last(step ORDER BY "at", turn) FILTER (step IN ('OFFERED', 'WITHDRAWN')) AS word,
        bool_or(package IS NOT NULL) AS has_parcel
    FROM history(moment)
    WHERE node <> '' AND taken_back_at IS NULL
    GROUP BY tenant, network, order_id, node
),

offered AS (
    SELECT
        tenant,
        network,
        node,
        count(*) FILTER (word = 'OFFERED' AND NOT has_parcel) AS offered_orders
    FROM work
    GROUP BY tenant, network, node
)

SELECT
    *
FROM versions
FULL JOIN stocked USING (tenant, network, node)
FULL JOIN offered USING (tenant, network, node)
FULL JOIN sent USING (tenant, network, node)
