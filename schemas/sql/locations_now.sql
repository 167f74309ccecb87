-- locations_now: one row per order and device that knows where it is: its newest position.
-- Definition: newest by when it was there; progress and remaining_km are along the planned places.
SELECT DISTINCT ON (tenant, network, order_id, device)
    tenant,
    network,
    order_id,
    package,
    device,
    latitude,
    longitude,
    speed_kmh,
    progress,
    remaining_km,
    off_route_km,
    "at" AS seen_at,
    recorded_at,
    partition,
    "position"
FROM locations
ORDER BY tenant, network, order_id, device, "at" DESC, "position" DESC
