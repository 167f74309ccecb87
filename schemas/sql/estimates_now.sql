-- estimates_now: one row per order and parcel: what was told of its arrival last.
-- Definition: the newest estimate, by the log. package is null for an order before a parcel of it was known, and
-- for what has not left yet; that row goes once an estimate of all its parcels is newer. An estimate stays
-- when the parcel was delivered (as view shipments says); error_hours is then how much later than p50_at it came (negative: earlier).
-- Source: domain.md D.6 (DELAY_PREDICTED), D.10 (promise accuracy).
WITH newest AS (
    SELECT DISTINCT ON (tenant, network, order_id, package) *
    FROM estimates
    ORDER BY tenant, network, order_id, package, "position" DESC, "index" DESC
),

delivered AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        coalesce(min("at") FILTER (step = 'DELIVERED'), min("at")) AS delivered_at
    FROM history
    WHERE step IN ('DELIVERED', 'SIGNED') AND coalesce(classifier, 'ACT') = 'ACT' AND taken_back_at IS NULL
    GROUP BY tenant, network, order_id, package
)

SELECT
    newest.tenant,
    newest.network,
    newest.order_id,
    newest.package,
    newest.lane,
    newest.step,
    newest."at" AS estimated_at,
    newest.p50_at,
    newest.p90_at,
    newest.promise_at,
    newest.is_delay_predicted,
    delivered.delivered_at,
    (epoch(delivered.delivered_at) - epoch(newest.p50_at)) / 3600 AS error_hours,
    newest.model_sha256,
    newest.partition,
    newest."position"
FROM newest
LEFT JOIN delivered USING (tenant, network, order_id, package)
WHERE
    newest.package IS NOT NULL
    OR NOT EXISTS (
        SELECT 1
        FROM newest AS parcel
        WHERE
            parcel.tenant = newest.tenant
            AND parcel.network = newest.network
            AND parcel.order_id = newest.order_id
            AND parcel.package IS NOT NULL
            AND parcel."position" > newest."position"
    )
