-- learnt_later: learnt_later(moment) is the first record about each order that was not known yet at a moment.
-- Definition: the lowest position of a row of timeline, readings or locations that was recorded later. What the
-- order came to by itself (exceptions, estimates) was known then if it stands before that position, and its
-- log time is not after the moment.
-- Source: domain.md C.7 (bitemporal tracking).
SELECT
    tenant,
    network,
    order_id,
    min(position) AS position
FROM (
    SELECT tenant, network, order_id, position FROM timeline WHERE recorded_at > moment
    UNION ALL
    SELECT tenant, network, order_id, position FROM readings WHERE recorded_at > moment
    UNION ALL
    SELECT tenant, network, order_id, position FROM locations WHERE recorded_at > moment
)
GROUP BY tenant, network, order_id
