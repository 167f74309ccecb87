-- decision_latency: how long decisions took, per log partition and over all (partition is null).
-- Definition: each slice's advance_ms counts once per decision in it; p50 and p99 are the smallest
-- advance_ms at or below which 50 % and 99 % of the decisions were made. Slices without decisions are
-- left out. Wall clock: no fact, and not in any digest.
-- Source: design.md 6 (order on the journal -> decision).
WITH weighted AS (
    SELECT
        partition,
        advance_ms,
        decisions,
        sum(decisions) OVER (PARTITION BY partition ORDER BY advance_ms, position) AS upto,
        sum(decisions) OVER (PARTITION BY partition) AS total
    FROM (
        SELECT partition, position, advance_ms, decisions FROM measurements
        UNION ALL
        SELECT NULL, position, advance_ms, decisions FROM measurements
    )
    WHERE decisions > 0
)
SELECT
    partition,
    max(total)::BIGINT AS decisions,
    count(*) AS slices,
    min(advance_ms) FILTER (upto >= 0.5 * total) AS p50_ms,
    min(advance_ms) FILTER (upto >= 0.99 * total) AS p99_ms,
    max(advance_ms) AS max_ms
FROM weighted
GROUP BY partition
