-- delay_warnings: how good the warnings of delay are, one row per network.
-- Definition: of the orders that had a date and are over (delivered or lost; view order_health) or overdue
-- (DELAY_BREACHED was raised): late ones missed the date that they had been told last. An order was warned of if
-- DELAY_PREDICTED was raised for it before that date. precision: late / warned of. recall: warned of / late.
-- lead_hours: median time from the first warning to the date that was then missed. false_alarms: warned of and in time.
-- Source: domain.md D.10 (exception precision, recall and lead time), H.
WITH warned AS (
    SELECT
        tenant,
        network,
        order_id,
        min(raised_at) FILTER (code = 'DELAY_PREDICTED') AS warned_at,
        bool_or(code = 'DELAY_BREACHED') AS is_overdue
    FROM exceptions
    WHERE change = 'raised' AND code IN ('DELAY_PREDICTED', 'DELAY_BREACHED')
    GROUP BY tenant, network, order_id
),

ended AS (
    SELECT
        h.tenant,
        h.network,
        h.latest_due_at,
        NOT coalesce(h.is_on_time_latest, false) AS is_late,
        coalesce(w.warned_at < h.latest_due_at, false) AS is_warned,
        w.warned_at
    FROM order_health AS h
    LEFT JOIN warned AS w ON h.tenant = w.tenant AND h.network = w.network AND h.order_id = w.order_id
    WHERE
        h.latest_due_at IS NOT NULL AND h.phase <> 'CANCELLED'
        AND (h.is_on_time_latest IS NOT NULL OR w.is_overdue)
)

SELECT
    tenant,
    network,
    count(*) AS orders,
    count(*) FILTER (is_late) AS late,
    count(*) FILTER (is_warned) AS warned,
    count(*) FILTER (is_warned AND NOT is_late) AS false_alarms,
    count(*) FILTER (is_warned AND is_late) / nullif(count(*) FILTER (is_warned), 0) AS precision,
    count(*) FILTER (is_warned AND is_late) / nullif(count(*) FILTER (is_late), 0) AS recall,
    median(date_diff('second', warned_at, latest_due_at)) FILTER (is_warned AND is_late) / 3600 AS lead_hours
FROM ended
GROUP BY tenant, network
