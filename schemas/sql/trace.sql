-- trace: from what the customer holds back to where it came from, one row per order line, node and parcel.
-- Definition: a line's units are those placed at the node and not released, by the decision that placed them last
-- (decision names it as partition/position/index; trigger, selection, policy_version and model_sha256 are its
-- reasons; view candidates has the nodes that it refused). lane, its carrier, service and mode are those of the plan,
-- as they were known then; carrier_seen is who reported the parcel. parcels of a node are not told apart by line, so a
-- line goes with each of them. devices were bound to the parcel, and readings, below, above, min_c, max_c and mkt_c are
-- of their temperatures while they were (view cold_chain). exceptions are all that were ever raised for the order.
-- Of an order that no journal of the lake tells there is a row per parcel without line and decision.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md A27 (reverse tracing).
WITH placed AS (
    SELECT
        tenant,
        network,
        order_id,
        line_no,
        sku,
        node,
        sum(CASE event WHEN 'placed' THEN qty WHEN 'released' THEN -qty ELSE 0 END)::BIGINT AS units,
        coalesce(sum(qty) FILTER (event = 'consumed'), 0)::BIGINT AS handed_over_units,
        last(lane_id ORDER BY position, "index") FILTER (event = 'placed') AS lane_id,
        last(ship_date ORDER BY position, "index") FILTER (event = 'placed') AS ship_date,
        max(position) FILTER (event = 'placed') AS position,
        any_value(partition) AS partition
    FROM allocations
    GROUP BY tenant, network, order_id, line_no, sku, node
    HAVING units > 0
),

decided AS (
    SELECT
        tenant,
        network,
        order_id,
        partition,
        position,
        last("index" ORDER BY "index") AS "index",
        last(decided_at ORDER BY "index") AS decided_at,
        last(kind ORDER BY "index") AS kind,
        last(trigger ORDER BY "index") AS trigger,
        last(selection ORDER BY "index") AS selection,
        last(policy_version ORDER BY "index") AS policy_version,
        last(model_sha256 ORDER BY "index") AS model_sha256,
        last(total_minor ORDER BY "index") AS total_minor,
        last(margin_minor ORDER BY "index") AS margin_minor
    FROM decisions
    WHERE kind <> 'SHADOW' AND len(nodes) > 0
    GROUP BY tenant, network, order_id, partition, position
),

ways AS (
    SELECT
        tenant,
        network,
        lane_id,
        position,
        carrier,
        service,
        mode
    FROM lanes
),

bound AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        list(DISTINCT device ORDER BY device) AS devices
    FROM timeline
    WHERE device IS NOT NULL
    GROUP BY tenant, network, order_id, package
),

measured AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        sum(readings)::BIGINT AS readings,
        sum(below)::BIGINT AS below,
        sum(above)::BIGINT AS above,
        min(min_c) AS min_c,
        max(max_c) AS max_c,
        max(mkt_c) AS mkt_c
    FROM cold_chain
    GROUP BY tenant, network, order_id, package
),

parcels AS (
    SELECT
        s.*,
        b.devices,
        m.readings,
        m.below,
        m.above,
        m.min_c,
        m.max_c,
        m.mkt_c
    FROM shipments AS s
    LEFT JOIN bound AS b
        ON s.tenant = b.tenant AND s.network = b.network AND s.order_id = b.order_id AND s.package = b.package
    LEFT JOIN measured AS m
        ON s.tenant = m.tenant AND s.network = m.network AND s.order_id = m.order_id AND s.package = m.package
    WHERE NOT coalesce(s.is_stand_in, false)
),

lines AS (
    SELECT
        p.*,
        d."index",
        d.decided_at,
        d.kind,
        d.trigger,
        d.selection,
        d.policy_version,
        d.model_sha256,
        d.total_minor,
        d.margin_minor,
        w.carrier,
        w.service,
        w.mode
    FROM placed AS p
    LEFT JOIN decided AS d
        ON
            p.tenant = d.tenant AND p.network = d.network AND p.order_id = d.order_id
            AND p.partition = d.partition AND p.position = d.position
    ASOF LEFT JOIN ways AS w
        ON p.tenant = w.tenant AND p.network = w.network AND p.lane_id = w.lane_id AND p.position >= w.position
),

raised AS (
    SELECT
        tenant,
        network,
        order_id,
        list(DISTINCT code ORDER BY code) AS exceptions
    FROM exceptions
    WHERE order_id <> ''
    GROUP BY tenant, network, order_id
),

matched AS (
    SELECT
        coalesce(l.tenant, p.tenant) AS tenant,
        coalesce(l.network, p.network) AS network,
        coalesce(l.order_id, p.order_id) AS order_id,
        l.line_no,
        l.sku,
        l.units,
        l.handed_over_units,
        coalesce(p.node, l.node) AS node,
        l.lane_id,
        l.carrier,
        l.service,
        l.mode,
        l.ship_date,
        l.partition || '/' || l.position || '/' || l."index" AS decision,
        l.decided_at,
        l.kind,
        l.trigger,
        l.selection,
        l.policy_version,
        l.model_sha256,
        l.total_minor,
        l.margin_minor,
        p.package,
        p.phase,
        p.carrier AS carrier_seen,
        p.packed_at,
        p.handed_over_at,
        p.delivered_at,
        p.signed_at,
        p.failed_attempts,
        coalesce(p.devices, []) AS devices,
        p.readings,
        p.below,
        p.above,
        p.min_c,
        p.max_c,
        p.mkt_c
    FROM lines AS l
    FULL JOIN parcels AS p
        ON l.tenant = p.tenant AND l.network = p.network AND l.order_id = p.order_id AND l.node = p.node
)

SELECT
    m.*,
    coalesce(r.exceptions, []) AS exceptions
FROM matched AS m
LEFT JOIN raised AS r ON m.tenant = r.tenant AND m.network = r.network AND m.order_id = r.order_id
