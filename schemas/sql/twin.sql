-- twin: the state of every shipment: where it is, who has it, when it will be there, what is wrong with it.
-- twin(moment): the same as it was known at a moment: SELECT * FROM twin('2026-01-06 14:05:00Z').
-- Definition: one row per parcel (view shipments, without stand-ins), and one with a null package per order
-- of which no parcel is known yet. in_hands_of: node until the parcel was handed over, carrier until it was
-- delivered, then the customer; responsible names it. latitude and longitude are the newest of the parcel's
-- milestones and of the positions of its devices, by when it was there. measured_* is the newest reading of
-- its devices, whatever they measure. expected_at is the estimate of Crossdock (p50, p90), or else the carrier's
-- last word. exceptions are the codes that hold for the parcel, for its node's part of the order, or for the order
-- itself; without a parcel all (view exceptions_open). state_at is when it was learnt last.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md A22, A28 (digital twin), C.7.
WITH estimated AS (
    SELECT
        e.tenant,
        e.network,
        e.order_id,
        e.package,
        last(e.p50_at ORDER BY e.position, e."index") AS p50_at,
        last(e.p90_at ORDER BY e.position, e."index") AS p90_at
    FROM estimates AS e
    LEFT JOIN learnt_later(moment) AS l
        ON e.tenant = l.tenant AND e.network = l.network AND e.order_id = l.order_id
    WHERE coalesce(e."at" <= moment, true) AND coalesce(e.position < l.position, true)
    GROUP BY e.tenant, e.network, e.order_id, e.package
),

found AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        last(latitude ORDER BY seen_at, device) AS latitude,
        last(longitude ORDER BY seen_at, device) AS longitude,
        last(progress ORDER BY seen_at, device) AS progress,
        last(remaining_km ORDER BY seen_at, device) AS remaining_km,
        max(seen_at) AS seen_at
    FROM locations_now(moment)
    GROUP BY tenant, network, order_id, package
),

measured AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        last(
            coalesce(value, (min_value + max_value) / 2, min_value, max_value) ORDER BY "at", device, position
        ) FILTER (type = 'Temperature') AS temperature,
        last(uom ORDER BY "at", device, position) FILTER (type = 'Temperature') AS temperature_uom,
        last(
            coalesce(value, (min_value + max_value) / 2, min_value, max_value) ORDER BY "at", device, position
        ) FILTER (type = 'RelativeHumidity') AS humidity,
        max("at") AS measured_at
    FROM readings
    WHERE state NOT IN ('FAILED', 'WRONG_UNIT') AND recorded_at <= moment
    GROUP BY tenant, network, order_id, package
),

wrong AS (
    SELECT
        tenant,
        network,
        order_id,
        list({'code': code, 'package': package, 'node': node}) AS causes
    FROM exceptions_open(moment)
    GROUP BY tenant, network, order_id
),

parcels AS (
    SELECT *
    FROM shipments(moment)
    WHERE NOT coalesce(is_stand_in, false)
)

SELECT
    o.tenant,
    o.network,
    o.order_id,
    o.phase AS order_phase,
    p.package,
    p.phase,
    p.node,
    p.carrier,
    CASE
        WHEN p.delivered_at IS NOT NULL THEN 'customer'
        WHEN p.phase IS NOT NULL AND p.phase <> 'PACKED' THEN 'carrier'
        ELSE 'node'
    END AS in_hands_of,
    CASE in_hands_of WHEN 'customer' THEN o.customer WHEN 'carrier' THEN p.carrier ELSE p.node END AS responsible,
    p.packed_at,
    p.handed_over_at,
    p.delivered_at,
    p.signed_at,
    p.failed_attempts,
    p.place,
    CASE WHEN coalesce(f.seen_at >= p.place_at, f.seen_at IS NOT NULL) THEN f.latitude ELSE p.latitude END AS latitude,
    CASE WHEN coalesce(f.seen_at >= p.place_at, f.seen_at IS NOT NULL) THEN f.longitude ELSE p.longitude END
        AS longitude,
    greatest(f.seen_at, p.place_at) AS seen_at,
    f.progress,
    f.remaining_km,
    p.device,
    m.temperature,
    m.temperature_uom,
    m.humidity,
    m.measured_at,
    o.promise_at,
    p.planned_delivery_at,
    coalesce(e.p50_at, p.estimated_delivery_at, p.planned_delivery_at) AS expected_at,
    e.p90_at AS expected_by_at,
    list_sort(list_distinct(list_transform(
        list_filter(
            coalesce(w.causes, []),
            lambda one: p.package IS NULL OR coalesce(one.package = p.package, one.package IS NULL)
            AND coalesce(one.node = p.node, one.node IS NULL)
        ),
        lambda one: one.code
    ))) AS exceptions,
    greatest(o.known_at, p.known_at) AS state_at,
    o.partition,
    greatest(o.position, p.position) AS position
FROM order_states(moment) AS o
LEFT JOIN parcels AS p ON o.tenant = p.tenant AND o.network = p.network AND o.order_id = p.order_id
LEFT JOIN estimated AS e
    ON
        o.tenant = e.tenant AND o.network = e.network AND o.order_id = e.order_id
        AND p.package IS NOT DISTINCT FROM e.package
LEFT JOIN found AS f
    ON o.tenant = f.tenant AND o.network = f.network AND o.order_id = f.order_id AND p.package = f.package
LEFT JOIN measured AS m
    ON o.tenant = m.tenant AND o.network = m.network AND o.order_id = m.order_id AND p.package = m.package
LEFT JOIN wrong AS w ON o.tenant = w.tenant AND o.network = w.network AND o.order_id = w.order_id
