-- order_360: one row per order with all that the lake knows of it: decision, stock, parcels, trouble, customer, cost.
-- Definition: columns are those of orders (outcome, units, plan), order_states (phase, dates, customer), twin
-- (parcels, each with what holds now) and exceptions_open. An order that only one of the two logs knows has nulls
-- for the other. sources says for every source that spoke of it how many rows it has and how fresh it
-- is; crossdock-route is the router itself.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md A15 (one view of an order, with provenance and freshness), A4.
WITH heard AS (
    SELECT
        tenant,
        network,
        order_id,
        list({'source': source, 'rows': said, 'last_at': last_at, 'recorded_at': recorded_at} ORDER BY source)
            AS sources
    FROM (
        SELECT
            tenant,
            network,
            order_id,
            source,
            count(*) AS said,
            max("at") AS last_at,
            max(recorded_at) AS recorded_at
        FROM (
            SELECT tenant, network, order_id, source, "at", recorded_at FROM timeline WHERE source IS NOT NULL
            UNION ALL
            SELECT tenant, network, order_id, source, "at", recorded_at FROM readings
            UNION ALL
            SELECT tenant, network, order_id, source, "at", recorded_at FROM locations
            UNION ALL
            SELECT tenant, network, order_id, 'crossdock-route', decided_at, decided_at FROM decisions
            WHERE kind <> 'SHADOW'
        )
        GROUP BY tenant, network, order_id, source
    )
    GROUP BY tenant, network, order_id
),

parcels AS (
    SELECT
        tenant,
        network,
        order_id,
        list({
            'package': package, 'phase': phase, 'node': node, 'carrier': carrier, 'in_hands_of': in_hands_of,
            'delivered_at': delivered_at, 'expected_at': expected_at, 'latitude': latitude,
            'longitude': longitude, 'seen_at': seen_at, 'temperature': temperature
        } ORDER BY package) AS parcels
    FROM twin
    WHERE package IS NOT NULL
    GROUP BY tenant, network, order_id
),

wrong AS (
    SELECT tenant, network, order_id, list(code ORDER BY code) AS exceptions
    FROM exceptions_open
    GROUP BY tenant, network, order_id
)

SELECT
    h.tenant,
    h.network,
    h.order_id,
    s.phase,
    o.outcome,
    o.hold_reason,
    s.customer,
    s.tier,
    coalesce(s.channel, o.channel) AS channel,
    o.region,
    s.ordered_at,
    o.requested_by,
    coalesce(s.first_promise_at, o.first_promise_at) AS first_promise_at,
    coalesce(s.promise_at, o.promise_at) AS promise_at,
    s.delivered_at,
    s.is_on_time,
    o.units_ordered,
    o.units_placed,
    o.units_backordered,
    o.units_unserved,
    o.nodes,
    o.decisions,
    o.attempts AS refusals,
    coalesce(p.parcels, []) AS parcels,
    coalesce(w.exceptions, []) AS exceptions,
    s.nps,
    s.csat,
    o.cost_minor,
    o.carbon_g,
    h.sources,
    greatest(s.known_at, o.decided_at) AS known_at
FROM heard AS h
LEFT JOIN order_states AS s ON h.tenant = s.tenant AND h.network = s.network AND h.order_id = s.order_id
LEFT JOIN orders AS o ON h.tenant = o.tenant AND h.network = o.network AND h.order_id = o.order_id
LEFT JOIN parcels AS p ON h.tenant = p.tenant AND h.network = p.network AND h.order_id = p.order_id
LEFT JOIN wrong AS w ON h.tenant = w.tenant AND h.network = w.network AND h.order_id = w.order_id
