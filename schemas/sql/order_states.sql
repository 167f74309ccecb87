-- order_states: one row per tracked order: its phase, its dates, and how they were kept.
-- Definition: the phase is that of the newest row of the order's timeline. delivered_at is when the last of
-- its parcels was delivered (signed for, where nobody said so), by what was learnt last; null while one
-- is not. promise_at is the date told last, first_promise_at the one told first; is_on_time compares the
-- delivery with the first (OTD, OpenReference DP13). An order that is gone from the state keeps its last row.
-- Source: domain.md D.3 (phases), D.10 (OTD).
WITH newest AS (
    SELECT
        tenant,
        network,
        order_id,
        last(phase ORDER BY position, "index") AS phase,
        min("at") FILTER (step <> 'DEADLINE') AS first_at,
        max("at") FILTER (step <> 'DEADLINE') AS last_at,
        max(recorded_at) AS known_at,
        last(promise_at ORDER BY "at", position) FILTER (promise_at IS NOT NULL) AS promise_at,
        first(first_promise_at ORDER BY "at", position)
            FILTER (first_promise_at IS NOT NULL) AS first_promise_at,
        last(customer ORDER BY "at", position) FILTER (customer <> '') AS customer,
        last(channel ORDER BY "at", position) FILTER (channel IS NOT NULL) AS channel,
        last(tier ORDER BY "at", position) FILTER (tier IS NOT NULL) AS tier,
        last(nps ORDER BY "at", position) FILTER (nps IS NOT NULL) AS nps,
        last(csat ORDER BY "at", position) FILTER (csat IS NOT NULL) AS csat,
        count(*) FILTER (is_late) AS late_records,
        any_value(partition) AS partition,
        max(position) AS position
    FROM timeline
    GROUP BY tenant, network, order_id
),

parcels AS (
    SELECT
        tenant,
        network,
        order_id,
        coalesce(
            last("at" ORDER BY position) FILTER (step = 'DELIVERED'),
            last("at" ORDER BY position) FILTER (step = 'SIGNED')
        ) AS delivered_at
    FROM timeline
    WHERE step IN ('DELIVERED', 'SIGNED') AND classifier = 'ACT'
    GROUP BY tenant, network, order_id, package
),

arrived AS (
    SELECT
        tenant,
        network,
        order_id,
        max(delivered_at) AS delivered_at
    FROM parcels
    GROUP BY tenant, network, order_id
)

SELECT
    tenant,
    network,
    order_id,
    phase,
    first_at,
    last_at,
    known_at,
    promise_at,
    first_promise_at,
    CASE
        WHEN phase IN ('DELIVERED', 'SIGNED', 'INSTALLED', 'ACCEPTED', 'CLOSED') THEN delivered_at
    END AS delivered_at,
    CASE
        WHEN phase IN ('DELIVERED', 'SIGNED', 'INSTALLED', 'ACCEPTED', 'CLOSED')
            THEN delivered_at <= first_promise_at
    END AS is_on_time,
    customer,
    channel,
    tier,
    nps,
    csat,
    late_records,
    partition,
    position
FROM newest
LEFT JOIN arrived USING (tenant, network, order_id)
