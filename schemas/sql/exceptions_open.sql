-- exceptions_open: one row per exception of a tracked order that holds now, and cause of it.
-- exceptions_open(moment): those that held at a moment, as far as was known then.
-- Definition: an order has one exception per code and cause at a time: package is the parcel that it is about, node
-- the node that is to act; both are null where it is the order's own. It is raised, perhaps escalated, and
-- resolved once its cause is gone; episode counts how often it was raised. evidence is the position of the record that
-- shows it (null: that time has passed). What the router raised is an event and does not stay open.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md D.6.
WITH newest AS (
    SELECT
        e.tenant,
        e.network,
        e.order_id,
        e.code,
        e.package,
        e.node,
        last(e.change ORDER BY e.position, e."index") AS change,
        last(e.severity ORDER BY e.position, e."index") AS severity,
        last(e.evidence ORDER BY e.position, e."index") AS evidence,
        last(e.raised_at ORDER BY e.position, e."index") FILTER (e.change = 'raised') AS raised_at,
        count(*) FILTER (e.change = 'raised') AS episode,
        any_value(e.partition) AS partition,
        max(e.position) AS position
    FROM exceptions AS e
    LEFT JOIN learnt_later(moment) AS l
        ON e.tenant = l.tenant AND e.network = l.network AND e.order_id = l.order_id
    WHERE
        e.change IS NOT NULL
        AND coalesce(e.raised_at <= moment, true)
        AND coalesce(e.position < l.position, true)
    GROUP BY e.tenant, e.network, e.order_id, e.code, e.package, e.node
)

SELECT * EXCLUDE (change)
FROM newest
WHERE change <> 'resolved'
