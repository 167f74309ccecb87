-- shipments: one row per parcel of a tracked order, as it stands.
-- shipments(moment): the same as it was known at a moment.
-- Definition: the phase is the one after the newest row about the parcel; planned, estimated and actual
-- times are the latest statements that stand, by when they were made (DCSA classifiers PLN, EST, ACT); what
-- was taken back counts for nothing. A delivery is the first that anybody reported (a signature, where nobody
-- did). A parcel that is named like its node stands for all that the node ships, until the carrier names its
-- own: is_stand_in says that it did.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md D.3.
WITH told AS (
    SELECT
        *,
        taken_back_at IS NULL AS stands,
        taken_back_at IS NULL AND coalesce(classifier, 'ACT') = 'ACT' AS is_so
    FROM history(moment)
    WHERE package IS NOT NULL
),

parcels AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        last(package_phase ORDER BY position, "index") AS phase,
        last(node ORDER BY "at", position) FILTER (node <> '' AND stands) AS node,
        last(carrier ORDER BY "at", position) FILTER (carrier <> '' AND stands) AS carrier,
        min("at") FILTER (step = 'PACKED' AND is_so) AS packed_at,
        max("at") FILTER (step = 'HANDED_OVER' AND is_so) AS handed_over_at,
        last(device ORDER BY "at", position) FILTER (device IS NOT NULL) AS device,
        last(planned_at ORDER BY "at", position)
            FILTER (step = 'DELIVERED' AND classifier = 'PLN' AND stands) AS planned_delivery_at,
        last(planned_at ORDER BY "at", position)
            FILTER (step = 'DELIVERED' AND classifier = 'EST' AND stands) AS estimated_delivery_at,
        coalesce(
            min("at") FILTER (step = 'DELIVERED' AND is_so), min("at") FILTER (step = 'SIGNED' AND is_so)
        ) AS delivered_at,
        min("at") FILTER (step = 'SIGNED' AND is_so) AS signed_at,
        max("at") FILTER (stands) AS last_at,
        last(latitude ORDER BY "at", position) FILTER (latitude IS NOT NULL AND is_so) AS latitude,
        last(longitude ORDER BY "at", position) FILTER (latitude IS NOT NULL AND is_so) AS longitude,
        last(place ORDER BY "at", position) FILTER (place <> '' AND is_so) AS place,
        max("at") FILTER ((latitude IS NOT NULL OR place <> '') AND is_so) AS place_at,
        count(*) FILTER (step = 'ATTEMPT_FAILED' AND is_so) AS failed_attempts,
        max(recorded_at) AS known_at,
        any_value(partition) AS partition,
        max(position) AS position
    FROM told
    GROUP BY tenant, network, order_id, package
)

SELECT
    *,
    package = node AND count(*) FILTER (phase IS NOT NULL AND package <> node) OVER same_node > 0 AS is_stand_in
FROM parcels
WINDOW same_node AS (PARTITION BY tenant, network, order_id, node)
