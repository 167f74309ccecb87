-- stays: one row per arrival or departure of a parcel that its positions showed.
-- Definition: an arrival is the first position within a planned place, a departure the last one before it was left.
-- What a later position proved wrong (classifier RET) is gone from here, and still in timeline.
-- Source: DCSA classifiers.
SELECT
    tenant,
    network,
    order_id,
    package,
    step,
    latitude,
    longitude,
    "at" AS happened_at,
    any_value(partition) AS partition,
    max(position) AS position
FROM timeline
WHERE source = 'crossdock/geofence'
GROUP BY tenant, network, order_id, package, step, latitude, longitude, "at"
HAVING count(*) FILTER (classifier = 'ACT') > count(*) FILTER (classifier = 'RET')
