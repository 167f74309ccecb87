-- shipments: one row per parcel of a tracked order, as it stands.
-- shipments(moment): the same as it was known at a moment.
-- Definition: the phase is the one after the newest row about the parcel; planned, estimated and actual
-- times are the latest statements that stand, by when they were made (DCSA classifiers PLN, EST, ACT); what
-- was taken back, and that it was, counts for nothing. A delivery is the first that anybody reported (a signature, where nobody
-- did). Where the carrier does not name the node, it is the only one that the order's works and parcels name; where
-- they name several, it is null. A parcel that is named like its node stands for all that the node ships, until
-- parcels of its own are known: is_stand_in says so. Of several nodes as many as there are parcels of no known node
-- have theirs, the first to pack first.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md D.3.
WITH told AS (
    SELECT
        *,
        taken_back_at IS NULL AND classifier IS DISTINCT FROM 'RET' AS stands,
        taken_back_at IS NULL AND coalesce(classifier, 'ACT') = 'ACT' AS is_so
    FROM history(moment)
),

parcels AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        CASE WHEN step IN ('OFFERED', 'WITHDRAWN') THEN node END AS offered_to,
        sum(CASE step WHEN 'OFFERED' THEN units ELSE -units END) FILTER (step IN ('OFFERED', 'WITHDRAWN')) AS units,
        min({'at': "at", 'turn': turn}) FILTER (stands) AS first,
        last(package_phase ORDER BY position, "index") AS phase,
        last(node ORDER BY "at", turn) FILTER (node <> '' AND stands) AS node,
        last(carrier ORDER BY "at", turn) FILTER (carrier <> '' AND stands) AS carrier,
        min("at") FILTER (step = 'PACKED' AND is_so) AS packed_at,
        max("at") FILTER (step = 'HANDED_OVER' AND is_so) AS handed_over_at,
        last(device ORDER BY "at", turn) FILTER (device IS NOT NULL) AS device,
        last(planned_at ORDER BY "at", turn)
            FILTER (step = 'DELIVERED' AND classifier = 'PLN' AND stands) AS planned_delivery_at,
        last(planned_at ORDER BY "at", turn)
            FILTER (step = 'DELIVERED' AND classifier = 'EST' AND stands) AS estimated_delivery_at,
        coalesce(
            min("at") FILTER (step = 'DELIVERED' AND is_so), min("at") FILTER (step = 'SIGNED' AND is_so)
        ) AS delivered_at,
        min("at") FILTER (step = 'SIGNED' AND is_so) AS signed_at,
        max("at") FILTER (stands) AS last_at,
        last(latitude ORDER BY "at", turn) FILTER (latitude IS NOT NULL AND is_so) AS latitude,
        last(longitude ORDER BY "at", turn) FILTER (latitude IS NOT NULL AND is_so) AS longitude,
        last(place ORDER BY "at", turn) FILTER (place <> '' AND is_so) AS place,
        max("at") FILTER ((latitude IS NOT NULL OR place <> '') AND is_so) AS place_at,
        count(*) FILTER (step = 'ATTEMPT_FAILED' AND is_so) AS failed_attempts,
        max(recorded_at) AS known_at,
        any_value(partition) AS partition,
        max(position) AS position
    FROM told
    GROUP BY tenant, network, order_id, package, offered_to
),

standing AS (
    SELECT
        *,
        CASE WHEN NOT coalesce(bool_or(units <= 0) OVER same_node, false) THEN node END AS standing_node
    FROM parcels
    WINDOW same_node AS (PARTITION BY tenant, network, order_id, node)
),

placed AS (
    SELECT
        * REPLACE (
            coalesce(
                node, CASE WHEN min(standing_node) OVER mine = max(standing_node) OVER mine THEN min(standing_node) OVER mine END
            ) AS node
        )
    FROM standing
    WINDOW mine AS (PARTITION BY tenant, network, order_id)
),

beside AS (
    SELECT
        *,
        package = node AND phase IS NOT NULL AND standing_node IS NOT NULL AS is_whole,
        count(*) FILTER (phase IS NOT NULL AND package <> node) OVER same_node AS own_parcels,
        count(*) FILTER (phase IS NOT NULL AND node IS NULL) OVER (PARTITION BY tenant, network, order_id) AS unplaced
    FROM placed
    WINDOW same_node AS (PARTITION BY tenant, network, order_id, node)
)

SELECT
    * EXCLUDE (offered_to, units, first, standing_node, is_whole, own_parcels, unplaced),
    coalesce(package = node AND own_parcels > 0, false)
    OR coalesce(is_whole AND row_number() OVER unnamed <= unplaced, false) AS is_stand_in
FROM beside
WHERE package IS NOT NULL
WINDOW unnamed AS (PARTITION BY tenant, network, order_id, is_whole AND own_parcels = 0 ORDER BY first)
