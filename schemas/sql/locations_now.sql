-- locations_now: one row per order and device that knows where it is: its newest position.
-- locations_now(moment): the newest that was known at a moment.
-- Definition: newest by when it was there; progress and remaining_km are along the planned places.
-- Source: domain.md A31.
SELECT
    tenant,
    network,
    order_id,
    last(package ORDER BY "at", position) AS package,
    device,
    last(latitude ORDER BY "at", position) AS latitude,
    last(longitude ORDER BY "at", position) AS longitude,
    last(speed_kmh ORDER BY "at", position) AS speed_kmh,
    last(progress ORDER BY "at", position) AS progress,
    last(remaining_km ORDER BY "at", position) AS remaining_km,
    last(off_route_km ORDER BY "at", position) AS off_route_km,
    max("at") AS seen_at,
    last(recorded_at ORDER BY "at", position) AS recorded_at,
    any_value(partition) AS partition,
    last(position ORDER BY "at", position) AS position
FROM locations
WHERE recorded_at <= moment
GROUP BY tenant, network, order_id, device
