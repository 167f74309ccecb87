-- consistency: what order, reservation and shipment do not agree on, one row per disagreement; empty is right.
-- Definition: finding says which, expected and found what the two sides say:
--   MORE_PLACED_THAN_ORDERED      nodes hold or shipped more units than the order has
--   CANCELLED_BUT_RESERVED        the order is cancelled and a node still holds stock for it
--   SHIPPED_UNRESERVED            a parcel left a node that was never given anything of the order
--   SHIPPED_BUT_RESERVED          the carrier has all that a node was to ship, and its stock is still reserved
--   CONSUMED_BUT_NOT_SHIPPED      stock has left the books and no parcel is known to have left the node
--   CANCELLED_BUT_SHIPPED         the router cancelled an order of which a parcel is on its way or there
--   PROMISE_DIFFERS               the date last told by the router is not the one that tracking goes by
--   NOT_TRACKED                   the router decided and tracking knows nothing of the order
--   NOT_ROUTED                    tracking heard of the order as it was made, and the router never decided it
--   ROUTED_BUT_NOT_RESERVED       the router says that all of it is placed, and nodes hold or shipped less
-- It compares what both logs of the lake tell, so it is empty where only one of them is in it, and may show for
-- a moment what one flow has read and the other has not yet.
-- Source: domain.md A23 (consistency between systems), D.5.
WITH ledger AS (
    SELECT
        tenant,
        network,
        order_id,
        node,
        sum(CASE event WHEN 'placed' THEN qty WHEN 'released' THEN -qty WHEN 'consumed' THEN -qty ELSE 0 END)::BIGINT
            AS open_units,
        coalesce(sum(qty) FILTER (event = 'consumed'), 0)::BIGINT AS consumed_units
    FROM allocations
    GROUP BY tenant, network, order_id, node
),

sent AS (
    SELECT
        tenant,
        network,
        order_id,
        node,
        count(*) AS parcels
    FROM shipments
    WHERE node IS NOT NULL AND phase IS NOT NULL AND phase <> 'PACKED' AND NOT coalesce(is_stand_in, false)
    GROUP BY tenant, network, order_id, node
),

compared AS (
    SELECT
        o.*,
        s.phase,
        s.promise_at AS tracked_promise_at,
        s.order_id IS NOT NULL AS is_tracked
    FROM orders AS o
    LEFT JOIN order_states AS s ON o.tenant = s.tenant AND o.network = s.network AND o.order_id = s.order_id
),

flows AS (
    SELECT
        count(*) FILTER (flow = 'track') > 0 AS has_tracking,
        count(*) FILTER (flow = 'route') > 0 AS has_routing
    FROM identity
    WHERE log_id <> ''
)

SELECT tenant, network, order_id, NULL AS node, 'MORE_PLACED_THAN_ORDERED' AS finding,
    units_ordered::VARCHAR AS expected, units_placed::VARCHAR AS found
FROM orders
WHERE units_placed > units_ordered
UNION ALL
SELECT l.tenant, l.network, l.order_id, l.node, 'CANCELLED_BUT_RESERVED', '0', l.open_units::VARCHAR
FROM ledger AS l
INNER JOIN orders AS o ON l.tenant = o.tenant AND l.network = o.network AND l.order_id = o.order_id
WHERE o.outcome = 'CANCELLED' AND l.open_units > 0
UNION ALL
SELECT s.tenant, s.network, s.order_id, s.node, 'SHIPPED_UNRESERVED', '0', s.parcels::VARCHAR
FROM sent AS s
INNER JOIN orders AS o ON s.tenant = o.tenant AND s.network = o.network AND s.order_id = o.order_id
LEFT JOIN ledger AS l
    ON s.tenant = l.tenant AND s.network = l.network AND s.order_id = l.order_id AND s.node = l.node
WHERE l.node IS NULL
UNION ALL
SELECT s.tenant, s.network, s.order_id, s.node, 'SHIPPED_BUT_RESERVED', '0', l.open_units::VARCHAR
FROM sent AS s
INNER JOIN ledger AS l
    ON s.tenant = l.tenant AND s.network = l.network AND s.order_id = l.order_id AND s.node = l.node
WHERE l.open_units > 0
UNION ALL
SELECT l.tenant, l.network, l.order_id, l.node, 'CONSUMED_BUT_NOT_SHIPPED', l.consumed_units::VARCHAR, '0'
FROM ledger AS l
INNER JOIN order_states AS o ON l.tenant = o.tenant AND l.network = o.network AND l.order_id = o.order_id
LEFT JOIN sent AS s
    ON s.tenant = l.tenant AND s.network = l.network AND s.order_id = l.order_id AND s.node = l.node
WHERE l.consumed_units > 0 AND s.node IS NULL
UNION ALL
SELECT b.tenant, b.network, b.order_id, s.node, 'CANCELLED_BUT_SHIPPED', 'CANCELLED', b.phase
FROM compared AS b
INNER JOIN sent AS s ON b.tenant = s.tenant AND b.network = s.network AND b.order_id = s.order_id
WHERE b.outcome = 'CANCELLED' AND b.phase NOT IN ('RETURNED', 'LOST')
UNION ALL
SELECT tenant, network, order_id, NULL, 'PROMISE_DIFFERS', promise_at::VARCHAR, tracked_promise_at::VARCHAR
FROM compared
WHERE is_tracked AND promise_at IS DISTINCT FROM tracked_promise_at AND outcome <> 'CANCELLED' AND promise_at IS NOT NULL
UNION ALL
SELECT tenant, network, order_id, NULL, 'NOT_TRACKED', outcome, NULL
FROM compared, flows
WHERE has_tracking AND NOT is_tracked
UNION ALL
SELECT s.tenant, s.network, s.order_id, NULL, 'NOT_ROUTED', s.phase, NULL
FROM order_states AS s
ANTI JOIN orders AS o ON s.tenant = o.tenant AND s.network = o.network AND s.order_id = o.order_id
CROSS JOIN flows
WHERE has_routing AND s.ordered_at IS NOT NULL
UNION ALL
SELECT tenant, network, order_id, NULL, 'ROUTED_BUT_NOT_RESERVED', units_ordered::VARCHAR, units_placed::VARCHAR
FROM orders
WHERE outcome = 'FULLY_ROUTED' AND units_placed < units_ordered
