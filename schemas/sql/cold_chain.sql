-- cold_chain: one row per parcel and device that measured its temperature, over all its readings.
-- Definition: each reading counts once, by device and time; the device's errors count as failed alone. Temperatures
-- are in degrees Celsius, of the reading's value (mean of its extremes where it has none). mkt_c is the
-- mean kinetic temperature of equally weighted readings, with 83.144 kJ/mol: what a constant temperature
-- would have done to the goods. below and above count readings outside the band that they were judged by.
-- Source: domain.md D.4; USP <1079> (mean kinetic temperature).
WITH told AS (
    SELECT
        tenant,
        network,
        order_id,
        package,
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

celsius AS (
    SELECT
        *,
        CASE uom WHEN 'FAH' THEN 5 / 9 ELSE 1 END AS factor,
        CASE uom WHEN 'FAH' THEN -32 * 5 / 9 WHEN 'KEL' THEN -273.15 ELSE 0 END AS zero
    FROM told
)

SELECT
    tenant,
    network,
    order_id,
    last(package ORDER BY "at") AS package,
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
GROUP BY tenant, network, order_id, device
