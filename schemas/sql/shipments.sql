-- shipments: one row per parcel of a tracked order, as it stands.
-- Definition: the phase is the one after the newest row about the parcel; planned, estimated and actual
-- times are the latest statements, by when they were made (DCSA classifiers PLN, EST, ACT). A parcel that is
-- named like its node stands for all that the node ships, until the carrier names its own.
-- Source: domain.md D.3.
SELECT
    tenant,
    network,
    order_id,
    package,
    last(package_phase ORDER BY position, "index") FILTER (package_phase IS NOT NULL) AS phase,
    last(node ORDER BY "at", position) FILTER (node IS NOT NULL) AS node,
    last(carrier ORDER BY "at", position) FILTER (carrier <> '') AS carrier,
    max("at") FILTER (step = 'HANDED_OVER' AND coalesce(classifier, 'ACT') = 'ACT') AS handed_over_at,
    last(device ORDER BY "at", position) FILTER (device IS NOT NULL) AS device,
    last(planned_at ORDER BY "at", position)
        FILTER (step = 'DELIVERED' AND classifier = 'PLN') AS planned_delivery_at,
    last(planned_at ORDER BY "at", position)
        FILTER (step = 'DELIVERED' AND classifier = 'EST') AS estimated_delivery_at,
    max("at") FILTER (step = 'DELIVERED' AND coalesce(classifier, 'ACT') = 'ACT') AS delivered_at,
    max("at") AS last_at,
    last(latitude ORDER BY "at", position) FILTER (latitude IS NOT NULL) AS latitude,
    last(longitude ORDER BY "at", position) FILTER (latitude IS NOT NULL) AS longitude,
    last(place ORDER BY "at", position) FILTER (place <> '') AS place,
    count(*) FILTER (step = 'ATTEMPT_FAILED') AS failed_attempts,
    any_value(partition) AS partition,
    max(position) AS position
FROM timeline
WHERE package IS NOT NULL
GROUP BY tenant, network, order_id, package
