-- order_states: one row per tracked order: its phase, its dates, and how they were kept.
-- order_states(moment): the same as it was known at a moment.
-- Definition: the phase is that of the newest row of the order's timeline that has one (what comes of an order long
-- after it was closed may have none). delivered_at is when the last of
-- its parcels was delivered (view shipments); null while one is not, also if it was lost. promise_at is the
-- date told last, first_promise_at the original one since the customer last changed the order; is_on_time
-- compares the delivery with the original (OTD, OpenReference DP13). An order that is gone from the state keeps
-- its last row. nps and csat are the customer's last answers.
-- A parcel that is still under way though the order is there stood for others (view shipments), as did one that is
-- named like its node and never came, where the carrier of another names no node.
-- history is read once, parcel by parcel, since every reading of a table costs a look-up 10 ms; what was said last
-- is the greatest of (when, what); of the router, of (cause, when, what).
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md D.3 (phases), D.10 (OTD).
WITH parcels AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        max({'position': position, 'index': "index", 'phase': phase}) FILTER (phase IS NOT NULL) AS newest,
        max(position) AS newest_position,
        arg_max(package_phase IS NOT NULL, (position, "index")) AS is_parcel,
        arg_max(
            coalesce(package_phase, '') NOT IN (
                'PACKED', 'HANDED_OVER', 'IN_TRANSIT', 'CUSTOMS', 'OUT_FOR_DELIVERY', 'AVAILABLE_FOR_PICKUP', 'ATTEMPT_FAILED'
            ),
            (position, "index")
        ) AS is_through,
        last(node ORDER BY "at", turn)
            FILTER (node <> '' AND taken_back_at IS NULL AND classifier IS DISTINCT FROM 'RET') AS node,
        coalesce(
            min("at") FILTER (step = 'DELIVERED' AND coalesce(classifier, 'ACT') = 'ACT' AND taken_back_at IS NULL),
            min("at") FILTER (step = 'SIGNED' AND coalesce(classifier, 'ACT') = 'ACT' AND taken_back_at IS NULL)
        ) AS delivered_at,
        min("at") FILTER (step = 'ORDERED') AS ordered_at,
        min("at") FILTER (step <> 'DEADLINE') AS first_at,
        max("at") FILTER (step <> 'DEADLINE') AS last_at,
        max(recorded_at) AS known_at,
        max({'cause': greatest(turn >> 64, 1000), 'at': "at", 'turn': turn, 'word': promise_at}) FILTER (promise_at IS NOT NULL) AS promise,
        max({'cause': greatest(turn >> 64, 1000), 'at': "at", 'turn': turn, 'word': first_promise_at})
            FILTER (first_promise_at IS NOT NULL) AS first_promise,
        max({'at': "at", 'turn': turn, 'word': customer}) FILTER (customer <> '') AS customer,
        max({'at': "at", 'turn': turn, 'word': channel}) FILTER (channel <> '') AS channel,
        max({'at': "at", 'turn': turn, 'word': tier}) FILTER (tier <> '') AS tier,
        max({'at': "at", 'turn': turn, 'word': nps}) FILTER (nps IS NOT NULL) AS nps,
        max({'at': "at", 'turn': turn, 'word': csat}) FILTER (csat IS NOT NULL) AS csat,
        count(*) FILTER (is_late) AS late_records,
        any_value(partition) AS partition
    FROM history(moment)
    GROUP BY tenant, network, order_id, package
),

counted AS (
    SELECT
        *,
        package IS NOT NULL AND is_parcel AND is_through AND NOT coalesce(
            package = node AND (
                count(*) FILTER (is_parcel AND package <> node) OVER same_node > 0
                OR (delivered_at IS NULL AND count(*) FILTER (is_parcel AND node IS NULL) OVER mine > 0)
            ),
            false
        ) AS is_counted
    FROM parcels
    WINDOW
        same_node AS (PARTITION BY tenant, network, order_id, node),
        mine AS (PARTITION BY tenant, network, order_id)
),

together AS (
    SELECT
        tenant,
        network,
        order_id,
        max(newest) AS newest,
        max(newest_position) AS newest_position,
        bool_and(delivered_at IS NOT NULL) FILTER (is_counted) AS is_there,
        max(delivered_at) FILTER (is_counted) AS arrived_at,
        min(ordered_at) AS ordered_at,
        min(first_at) AS first_at,
        max(last_at) AS last_at,
        max(known_at) AS known_at,
        max(promise).word AS promise_at,
        max(first_promise).word AS first_promise_at,
        max(customer).word AS customer,
        max(channel).word AS channel,
        max(tier).word AS tier,
        max(nps).word AS nps,
        max(csat).word AS csat,
        sum(late_records)::BIGINT AS late_records,
        any_value(partition) AS partition
    FROM counted
    GROUP BY tenant, network, order_id
)

SELECT
    tenant,
    network,
    order_id,
    newest.phase AS phase,
    ordered_at,
    first_at,
    last_at,
    known_at,
    promise_at,
    first_promise_at,
    CASE WHEN is_there AND newest.phase IN (
        'DELIVERED', 'SIGNED', 'INSTALLED', 'ACCEPTED', 'CLOSED', 'RETURNING', 'RETURNED', 'DAMAGED'
    ) THEN arrived_at END AS delivered_at,
    delivered_at <= first_promise_at AS is_on_time,
    customer,
    channel,
    tier,
    nps,
    csat,
    late_records,
    partition,
    newest_position AS position
FROM together
