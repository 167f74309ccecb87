-- order_states: one row per tracked order: its phase, its dates, and how they were kept.
-- Definition: the phase is that of the newest row of the order's timeline. delivered_at is when the last of
-- its parcels was delivered (signed for, where nobody said so), by what was learnt last; null while one
-- is not. promise_at is the date told last, first_promise_at the one told first; is_on_time compares the
-- delivery with the first (OTD, OpenReference DP13). An order that is gone from the state keeps its last row.
-- The timeline is read once, parcel by parcel, since every reading of a table costs a look-up 10 ms; what was
-- said last is the greatest of (when, what).
-- Source: domain.md D.3 (phases), D.10 (OTD).
WITH parcels AS (
    SELECT
        tenant,
        network,
        order_id,
        max({'position': position, 'index': "index", 'phase': phase}) AS newest,
        min("at") FILTER (step <> 'DEADLINE') AS first_at,
        max("at") FILTER (step <> 'DEADLINE') AS last_at,
        max(recorded_at) AS known_at,
        max({'at': "at", 'position': position, 'word': promise_at})
            FILTER (promise_at IS NOT NULL) AS promise,
        min({'at': "at", 'position': position, 'word': first_promise_at})
            FILTER (first_promise_at IS NOT NULL) AS first_promise,
        max({'at': "at", 'position': position, 'word': customer}) FILTER (customer <> '') AS customer,
        max({'at': "at", 'position': position, 'word': channel})
            FILTER (channel IS NOT NULL) AS channel,
        max({'at': "at", 'position': position, 'word': tier}) FILTER (tier IS NOT NULL) AS tier,
        max({'at': "at", 'position': position, 'word': nps}) FILTER (nps IS NOT NULL) AS nps,
        max({'at': "at", 'position': position, 'word': csat}) FILTER (csat IS NOT NULL) AS csat,
        coalesce(
            last("at" ORDER BY position) FILTER (step = 'DELIVERED' AND classifier = 'ACT'),
            last("at" ORDER BY position) FILTER (step = 'SIGNED' AND classifier = 'ACT')
        ) AS delivered_at,
        count(*) FILTER (is_late) AS late_records,
        any_value(partition) AS partition
    FROM timeline
    GROUP BY tenant, network, order_id, package
),

orders_of_parcels AS (
    SELECT
        tenant,
        network,
        order_id,
        max(newest) AS newest,
        min(first_at) AS first_at,
        max(last_at) AS last_at,
        max(known_at) AS known_at,
        max(promise).word AS promise_at,
        min(first_promise).word AS first_promise_at,
        max(newest).phase IN ('DELIVERED', 'SIGNED', 'INSTALLED', 'ACCEPTED', 'CLOSED') AS is_there,
        max(delivered_at) AS delivered_at,
        max(customer).word AS customer,
        max(channel).word AS channel,
        max(tier).word AS tier,
        max(nps).word AS nps,
        max(csat).word AS csat,
        sum(late_records)::BIGINT AS late_records,
        any_value(partition) AS partition
    FROM parcels
    GROUP BY tenant, network, order_id
)

SELECT
    tenant,
    network,
    order_id,
    newest.phase,
    first_at,
    last_at,
    known_at,
    promise_at,
    first_promise_at,
    CASE WHEN is_there THEN delivered_at END AS delivered_at,
    CASE WHEN is_there THEN delivered_at <= first_promise_at END AS is_on_time,
    customer,
    channel,
    tier,
    nps,
    csat,
    late_records,
    partition,
    newest.position
FROM orders_of_parcels
