-- service_kpis: how well customers were served: per network, and by day, carrier, node, lane, channel, region, tier.
-- Definition: over order_health, whose header defines what is on time, in full and perfect. dimension says by what
-- an order is counted and value by which: '' and '' for all of a network, 'day' and the day (UTC) of its original
-- date. An order with parcels of two carriers counts for each (so do nodes and lanes).
-- otd_original (the headline), otd_latest, otd_requested: on time / due. An order is due by a date if it has
-- one, was not cancelled, and was delivered, is lost, or the date has passed: by the newest record of any order
-- of its network, not by a clock on the wall. An overdue order is not on time. otif and perfect_order_rate:
-- of those due by the original date. in_full_rate: of those delivered or lost. first_attempt_rate: delivered without a failed
-- attempt / delivered. attempts_per_order: of those with an attempt. first_time_fix_rate: jobs done at the first visit /
-- jobs done. nps: % of answers of 9 and 10 less % of 0 to 6. csat: mean of 1 to 5. delivery_hours: ordered
-- to delivered. Rates are null where nothing counts.
-- Source: domain.md D.10 (OpenReference DP13 for OTD), A49.
WITH clocks AS (
    SELECT tenant, network, max(recorded_at) AS now_at
    FROM timeline
    GROUP BY tenant, network
),

counted AS (
    SELECT
        h.*,
        h.phase <> 'CANCELLED' AS is_wanted,
        c.now_at
    FROM order_health AS h
    INNER JOIN clocks AS c ON h.tenant = c.tenant AND h.network = c.network
),

due AS (
    SELECT
        *,
        is_wanted AND (is_on_time_original IS NOT NULL OR original_due_at < now_at) IS TRUE AS is_due_original,
        is_wanted AND (is_on_time_latest IS NOT NULL OR latest_due_at < now_at) IS TRUE AS is_due_latest,
        is_wanted AND (is_on_time_requested IS NOT NULL OR requested_at < now_at) IS TRUE AS is_due_requested,
        unnest(list_concat(
            [
                {'dimension': '', 'value': ''},
                {'dimension': 'day', 'value': due_date::VARCHAR},
                {'dimension': 'channel', 'value': channel},
                {'dimension': 'region', 'value': region},
                {'dimension': 'tier', 'value': tier}
            ],
            list_transform(carriers, lambda x: {'dimension': 'carrier', 'value': x}),
            list_transform(nodes, lambda x: {'dimension': 'node', 'value': x}),
            list_transform(list_distinct(lane_ids), lambda x: {'dimension': 'lane', 'value': x})
        )) AS part
    FROM counted
)

SELECT
    tenant,
    network,
    part.dimension AS dimension,
    part.value AS value,
    count(*) AS orders,
    count(*) FILTER (is_due_original) AS due_orders,
    count(*) FILTER (delivered_at IS NOT NULL) AS delivered_orders,
    count(*) FILTER (is_due_original AND is_on_time_original)
    / nullif(count(*) FILTER (is_due_original), 0) AS otd_original,
    count(*) FILTER (is_due_latest AND is_on_time_latest) / nullif(count(*) FILTER (is_due_latest), 0) AS otd_latest,
    count(*) FILTER (is_due_requested AND is_on_time_requested)
    / nullif(count(*) FILTER (is_due_requested), 0) AS otd_requested,
    count(*) FILTER (is_in_full) / nullif(count(is_in_full), 0) AS in_full_rate,
    count(*) FILTER (is_due_original AND is_otif) / nullif(count(*) FILTER (is_due_original), 0) AS otif,
    count(*) FILTER (is_due_original AND is_perfect)
    / nullif(count(*) FILTER (is_due_original), 0) AS perfect_order_rate,
    count(*) FILTER (delivered_at IS NOT NULL AND failed_attempts = 0)
    / nullif(count(delivered_at), 0) AS first_attempt_rate,
    avg(attempts) FILTER (attempts > 0) AS attempts_per_order,
    count(*) FILTER (is_closed_visit AND is_fixed_first)
    / nullif(count(*) FILTER (is_closed_visit), 0) AS first_time_fix_rate,
    100 * (count(*) FILTER (nps >= 9) - count(*) FILTER (nps <= 6)) / nullif(count(nps), 0) AS nps,
    count(nps) AS nps_answers,
    avg(csat) AS csat,
    count(csat) AS csat_answers,
    avg(date_diff('second', ordered_at, delivered_at)) / 3600 AS delivery_hours,
    avg(cost_minor) AS cost_minor_per_order,
    coalesce(sum(amount_minor), 0)::BIGINT AS amount_minor,
    avg(carbon_g) AS carbon_g_per_order
FROM due
WHERE part.value IS NOT NULL
GROUP BY tenant, network, part.dimension, part.value
