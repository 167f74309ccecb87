-- order_states: one row per tracked order: its phase, its dates, and how they were kept.
-- order_states(moment): the same as it was known at a moment.
-- Definition: the phase is that of the newest row of the order's timeline. delivered_at is when the last of
-- its parcels was delivered (view shipments); null while one is not, also if it was lost. promise_at is the
-- date told last, first_promise_at the original one since the customer last changed the order; is_on_time
-- compares the delivery with the original (OTD, OpenReference DP13). An order that is gone from the state keeps
-- its last row. nps and csat are the customer's last answers.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md D.3 (phases), D.10 (OTD).
WITH newest AS (
    SELECT
        tenant,
        network,
        order_id,
        last(phase ORDER BY position, "index") AS phase,
        min("at") FILTER (step = 'ORDERED') AS ordered_at,
        min("at") FILTER (step <> 'DEADLINE') AS first_at,
        max("at") FILTER (step <> 'DEADLINE') AS last_at,
        max(recorded_at) AS known_at,
        last(promise_at ORDER BY "at", position) FILTER (promise_at IS NOT NULL) AS promise_at,
        last(first_promise_at ORDER BY "at", position)
            FILTER (first_promise_at IS NOT NULL) AS first_promise_at,
        last(customer ORDER BY "at", position) FILTER (customer <> '') AS customer,
        last(channel ORDER BY "at", position) FILTER (channel <> '') AS channel,
        last(tier ORDER BY "at", position) FILTER (tier <> '') AS tier,
        last(nps ORDER BY "at", position) FILTER (nps IS NOT NULL) AS nps,
        last(csat ORDER BY "at", position) FILTER (csat IS NOT NULL) AS csat,
        count(*) FILTER (is_late) AS late_records,
        any_value(partition) AS partition,
        max(position) AS position
    FROM timeline
    WHERE recorded_at <= moment
    GROUP BY tenant, network, order_id
),

arrived AS (
    SELECT
        tenant,
        network,
        order_id,
        CASE WHEN bool_and(delivered_at IS NOT NULL) THEN max(delivered_at) END AS arrived_at
    FROM shipments(moment)
    WHERE phase IS NOT NULL AND NOT coalesce(is_stand_in, false)
    GROUP BY tenant, network, order_id
)

SELECT
    n.tenant,
    n.network,
    n.order_id,
    n.phase,
    n.ordered_at,
    n.first_at,
    n.last_at,
    n.known_at,
    n.promise_at,
    n.first_promise_at,
    CASE WHEN n.phase IN (
        'DELIVERED', 'SIGNED', 'INSTALLED', 'ACCEPTED', 'CLOSED', 'RETURNING', 'RETURNED', 'DAMAGED'
    ) THEN a.arrived_at END AS delivered_at,
    delivered_at <= n.first_promise_at AS is_on_time,
    n.customer,
    n.channel,
    n.tier,
    n.nps,
    n.csat,
    n.late_records,
    n.partition,
    n.position
FROM newest AS n
LEFT JOIN arrived AS a ON n.tenant = a.tenant AND n.network = a.network AND n.order_id = a.order_id
