-- visibility: how soon what happened can be seen, one row per source of the tracking log and hour; hour null: over all.
-- Definition: of each record about an order (a row of timeline, readings or locations that a source sent):
-- record_s from the event to its record (how late the source told it), visible_s from the record to the
-- commit that made it visible to SQL (measurements.committed_at of its slice), total_s from the event to there.
-- p50 and p99 are quantiles of these, in seconds; share_above_10_s is that of total_s. interval_s is the median time between
-- two events of one source about one order: how often it looks. hour is that of the record, UTC.
-- Wall clock: no fact. A lake that was replayed shows the time of the replay, so only live lakes are worth asking.
-- Source: domain.md C.6, A23 (sampling interval), A25, H3 (p99 below 10 s).
WITH told AS (
    SELECT partition, position, tenant, network, order_id, source, "at", recorded_at
    FROM timeline
    WHERE event_id IS NOT NULL
    UNION ALL
    SELECT DISTINCT partition, position, tenant, network, order_id, source, "at", recorded_at FROM readings
    UNION ALL
    SELECT partition, position, tenant, network, order_id, source, "at", recorded_at FROM locations
),

seen AS (
    SELECT
        t.tenant,
        t.network,
        t.source,
        date_trunc('hour', t.recorded_at) AS hour,
        epoch(t.recorded_at) - epoch(t."at") AS record_s,
        epoch(m.committed_at) - epoch(t.recorded_at) AS visible_s,
        epoch(t."at") - epoch(lag(t."at") OVER (
            PARTITION BY t.tenant, t.network, t.source, t.order_id ORDER BY t."at", t.position
        )) AS interval_s
    FROM told AS t
    ASOF LEFT JOIN measurements AS m ON t.partition = m.partition AND t.position <= m.position
)

SELECT
    tenant,
    network,
    source,
    hour,
    count(*) AS records,
    quantile_cont(record_s, 0.5) AS record_s_p50,
    quantile_cont(record_s, 0.99) AS record_s_p99,
    quantile_cont(visible_s, 0.5) AS visible_s_p50,
    quantile_cont(visible_s, 0.99) AS visible_s_p99,
    quantile_cont(record_s + visible_s, 0.5) AS total_s_p50,
    quantile_cont(record_s + visible_s, 0.99) AS total_s_p99,
    count(*) FILTER (record_s + visible_s > 10) / nullif(count(visible_s), 0) AS share_above_10_s,
    median(interval_s) AS interval_s
FROM seen
GROUP BY GROUPING SETS ((tenant, network, source), (tenant, network, source, hour))
