-- exception_kpis: per network and code of exception: how often, how quickly it was seen, how long it lasted.
-- Definition: an episode is from raised to resolved, of one cause (view exceptions_open), by log time. open_now: those not resolved. resolve_hours: median of
-- those resolved. detect_seconds: median time from the event of the record that shows it to raised_at, where one
-- shows it. What the router raised is an event of no length and counts as raised alone.
-- Source: domain.md D.6, D.10 (lead time).
WITH episodes AS (
    SELECT
        tenant,
        network,
        order_id,
        code,
        package,
        node,
        change,
        severity,
        evidence,
        partition,
        raised_at,
        lead(CASE WHEN change = 'resolved' THEN raised_at END IGNORE NULLS) OVER later AS resolved_at
    FROM exceptions
    WINDOW later AS (PARTITION BY tenant, network, order_id, code, package, node ORDER BY position, "index")
),

shown AS (
    SELECT
        e.*,
        coalesce(t."at", r."at") AS happened_at
    FROM episodes AS e
    LEFT JOIN (
        SELECT partition, position, min("at") AS "at" FROM timeline WHERE "index" = 0 GROUP BY partition, position
    ) AS t ON e.partition = t.partition AND e.evidence = t.position
    LEFT JOIN (
        SELECT partition, position, min("at") AS "at" FROM readings GROUP BY partition, position
    ) AS r ON e.partition = r.partition AND e.evidence = r.position
    WHERE e.change IS NULL OR e.change = 'raised'
)

SELECT
    tenant,
    network,
    code,
    count(*) AS raised,
    count(DISTINCT nullif(order_id, '')) AS orders,
    count(*) FILTER (change = 'raised' AND resolved_at IS NULL) AS open_now,
    median(date_diff('second', raised_at, resolved_at)) / 3600 AS resolve_hours,
    median(date_diff('second', happened_at, raised_at)) AS detect_seconds
FROM shown
GROUP BY tenant, network, code
