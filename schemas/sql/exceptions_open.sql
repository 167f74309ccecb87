-- exceptions_open: one row per exception of a tracked order that holds now.
-- Definition: an order has one exception per code at a time. It is raised, perhaps escalated, and resolved once
-- its cause is gone; episode counts how often it was raised. evidence is the position of the record that
-- shows it (null: that time has passed). What the router raised is an event and does not stay open.
-- Source: domain.md D.6.
WITH newest AS (
    SELECT
        tenant,
        network,
        order_id,
        code,
        last(change ORDER BY position, "index") AS change,
        last(severity ORDER BY position, "index") AS severity,
        last(package ORDER BY position, "index") AS package,
        last(evidence ORDER BY position, "index") AS evidence,
        last(raised_at ORDER BY position, "index") FILTER (change = 'raised') AS raised_at,
        count(*) FILTER (change = 'raised') AS episode,
        any_value(partition) AS partition,
        max(position) AS position
    FROM exceptions
    WHERE change IS NOT NULL
    GROUP BY tenant, network, order_id, code
)

SELECT * EXCLUDE (change)
FROM newest
WHERE change <> 'resolved'
