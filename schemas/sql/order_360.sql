-- order_360: one row per order with all that the lake knows of it: decision, stock, parcels, trouble, customer, cost.
-- Definition: columns are those of orders (outcome, units, plan), order_states (phase, dates, customer), twin
-- (parcels, each with what holds now) and exceptions_open. An order that only one of the two logs knows has nulls
-- for the other. sources says for every source that spoke of it how many rows it has and how fresh it
-- is; crossdock-route is the router itself. provenance says of each group of columns which source said it last, by
-- which record (event id; of the router and of devices partition/position), when that happened ("at"), when it was
-- learnt and at which partition and position of its log: customer (with tier and channel), plan (outcome, units, nodes,
-- cost, carbon), promise, phase, parcels, position and condition (of parcels), answers (nps, csat). To have them as
-- rows: SELECT order_id, unnest(provenance, recursive := true) FROM order_360 WHERE order_id = '...'. What a platform
-- had sent for it: crossdock channel raw PARTITION/POSITION.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md A15 (one view of an order, with provenance and freshness), A4.
WITH told AS (
    SELECT
        tenant,
        network,
        order_id,
        position,
        "index",
        "at",
        {
            'source': source, 'record': coalesce(event_id, concat_ws('/', partition, position)), 'at': "at",
            'recorded_at': recorded_at, 'partition': partition, 'position': position
        } AS said,
        coalesce(customer <> '', false) OR coalesce(tier <> '', false) OR coalesce(channel <> '', false) AS of_customer,
        false AS of_plan,
        promise_at IS NOT NULL AS of_promise,
        phase IS NOT NULL AS of_phase,
        package_phase IS NOT NULL AS of_parcels,
        latitude IS NOT NULL AND taken_back_at IS NULL AS of_position,
        false AS of_condition,
        nps IS NOT NULL OR csat IS NOT NULL AS of_answers
    FROM history
    WHERE source IS NOT NULL
    UNION ALL
    SELECT
        tenant, network, order_id, position, "index", "at",
        {
            'source': source, 'record': concat_ws('/', partition, position), 'at': "at", 'recorded_at': recorded_at
        },
        false, false, false, false, false, false, state NOT IN ('FAILED', 'WRONG_UNIT'), false
    FROM readings
    UNION ALL
    SELECT
        tenant, network, order_id, position, "index", "at",
        {
            'source': source, 'record': concat_ws('/', partition, position), 'at': "at", 'recorded_at': recorded_at
        },
        false, false, false, false, false, true, false, false
    FROM locations
    UNION ALL
    SELECT
        tenant, network, order_id, position, "index", decided_at,
        {
            'source': 'crossdock-route', 'record': concat_ws('/', partition, position, "index"), 'at': decided_at,
            'recorded_at': decided_at, 'partition': partition, 'position': position
        },
        false, true, false, false, false, false, false, false
    FROM decisions
    WHERE kind <> 'SHADOW'
),

by_source AS (
    SELECT
        tenant,
        network,
        order_id,
        said.source AS source,
        count(*) AS said_rows,
        max("at") AS last_at,
        max(said.recorded_at) AS recorded_at,
        max({'at': "at", 'position': position, 'said': said}) FILTER (of_customer) AS customer,
        max({'position': position, 'index': "index", 'said': said}) FILTER (of_plan) AS plan,
        max({'at': "at", 'position': position, 'said': said}) FILTER (of_promise) AS promise,
        max({'position': position, 'index': "index", 'said': said}) FILTER (of_phase) AS phase,
        max({'position': position, 'index': "index", 'said': said}) FILTER (of_parcels) AS parcels,
        max({'at': "at", 'position': position, 'said': said}) FILTER (of_position) AS seen,
        max({'at': "at", 'position': position, 'said': said}) FILTER (of_condition) AS condition,
        max({'at': "at", 'position': position, 'said': said}) FILTER (of_answers) AS answers
    FROM told
    GROUP BY tenant, network, order_id, said.source
),

heard AS (
    SELECT
        tenant,
        network,
        order_id,
        list({'source': source, 'rows': said_rows, 'last_at': last_at, 'recorded_at': recorded_at} ORDER BY source)
            AS sources,
        list_filter(
            [
                {'fields': 'customer', 'said': max(customer).said},
                {'fields': 'plan', 'said': max(plan).said},
                {'fields': 'promise', 'said': max(promise).said},
                {'fields': 'phase', 'said': max(phase).said},
                {'fields': 'parcels', 'said': max(parcels).said},
                {'fields': 'position', 'said': max(seen).said},
                {'fields': 'condition', 'said': max(condition).said},
                {'fields': 'answers', 'said': max(answers).said}
            ],
            lambda one: one.said IS NOT NULL
        ) AS known
    FROM by_source
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
    SELECT tenant, network, order_id, list(DISTINCT code ORDER BY code) AS exceptions
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
    list_transform(h.known, lambda one: {
        'fields': one.fields, 'source': one.said.source, 'record': one.said.record, 'at': one.said."at",
        'recorded_at': one.said.recorded_at, 'partition': one.said.partition, 'position': one.said.position
    }) AS provenance,
    greatest(s.known_at, o.decided_at) AS known_at
FROM heard AS h
LEFT JOIN order_states AS s ON h.tenant = s.tenant AND h.network = s.network AND h.order_id = s.order_id
LEFT JOIN orders AS o ON h.tenant = o.tenant AND h.network = o.network AND h.order_id = o.order_id
LEFT JOIN parcels AS p ON h.tenant = p.tenant AND h.network = p.network AND h.order_id = p.order_id
LEFT JOIN wrong AS w ON h.tenant = w.tenant AND h.network = w.network AND h.order_id = w.order_id
