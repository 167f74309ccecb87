-- cold_chain: one row per parcel and device that measured its temperature, over the readings while they went together.
-- Definition: a device speaks of a parcel from a binding to the next release from it or to the parcel's delivery, and
-- may speak of several at once; of a device that was never bound package is null. Each reading counts once, by device
-- and time; the device's errors count as failed alone. Temperatures are in degrees Celsius, of the reading's value (mean
-- of its extremes where it has none). mkt_c is the mean kinetic temperature of equally weighted readings, with
-- 83.144 kJ/mol: what a constant temperature would have done to the goods. below and above count readings outside
-- the band that they were judged by.
-- Source: domain.md D.4; USP <1079> (mean kinetic temperature).
WITH told AS (
    SELECT
        tenant,
        network,
        order_id,
        device,
        "at",
        state,
        coalesce(value, (min_value + max_value) / 2, min_value, max_value) AS measured,
        coalesce(min_value, value) AS least,
        coalesce(max_value, value) AS greatest,
        uom,
        partition,
        position
    FROM readings
    WHERE type = 'Temperature' AND state <> 'WRONG_UNIT'
    QUALIFY
        row_number() OVER (
            PARTITION BY tenant, network, order_id, device, "at", "index" ORDER BY position
        ) = 1
),

bindings AS (
    SELECT
        tenant,
        network,
        order_id,
        device,
        package,
        "at",
        bool_and(step = 'BOUND') AS is_bound
    FROM timeline
    WHERE device IS NOT NULL AND step IN ('BOUND', 'RELEASED')
    GROUP BY tenant, network, order_id, device, package, "at"
),

bound AS (
    SELECT DISTINCT
        tenant,
        network,
        order_id,
        device,
        package
    FROM bindings
    WHERE is_bound
),

carried AS (
    SELECT
        t.*,
        d.package
    FROM told AS t
    INNER JOIN bound AS d
        ON t.tenant = d.tenant AND t.network = d.network AND t.order_id = d.order_id AND t.device = d.device
    UNION ALL
    SELECT
        t.*,
        NULL AS package
    FROM told AS t
    ANTI JOIN bound AS d
        ON t.tenant = d.tenant AND t.network = d.network AND t.order_id = d.order_id AND t.device = d.device
),

delivered AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
        min(delivered_at) AS delivered_at
    FROM shipments
    WHERE phase IN ('DELIVERED', 'SIGNED')
    GROUP BY tenant, network, order_id, package
),

counted AS (
    SELECT c.*
    FROM carried AS c
    ASOF LEFT JOIN bindings AS b
        ON
            c.tenant = b.tenant AND c.network = b.network AND c.order_id = b.order_id AND c.device = b.device
            AND c.package = b.package AND c."at" >= b."at"
    LEFT JOIN delivered AS d
        ON c.tenant = d.tenant AND c.network = d.network AND c.order_id = d.order_id AND c.package = d.package
    WHERE (c.package IS NULL OR b.is_bound) AND (d.delivered_at IS NULL OR c."at" < d.delivered_at)
),

celsius AS (
    SELECT
        *,
        CASE uom WHEN 'FAH' THEN 5 / 9 ELSE 1 END AS factor,
        CASE uom WHEN 'FAH' THEN -32 * 5 / 9 WHEN 'KEL' THEN -273.15 ELSE 0 END AS zero
    FROM counted
)

SELECT
    tenant,
    network,
    order_id,
    package,
    device,
    count(*) AS readings,
    count(*) FILTER (state = 'LOW') AS below,
    count(*) FILTER (state = 'HIGH') AS above,
    count(*) FILTER (state = 'FAILED') AS failed,
    min(least * factor + zero) FILTER (state <> 'FAILED') AS min_c,
    max(greatest * factor + zero) FILTER (state <> 'FAILED') AS max_c,
    avg(measured * factor + zero) FILTER (state <> 'FAILED') AS mean_c,
    10000 / -ln(
        avg(exp(-10000 / (measured * factor + zero + 273.15))) FILTER (state <> 'FAILED')
    ) - 273.15 AS mkt_c,
    min("at") AS first_at,
    max("at") AS last_at,
    any_value(partition) AS partition,
    max(position) AS position
FROM celsius
GROUP BY tenant, network, order_id, package, device
