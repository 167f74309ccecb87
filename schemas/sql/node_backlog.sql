-- node_backlog: units that wait at each node at the end of each day, by the plans that stand.
-- Definition: a unit placed and not released waits from the day (UTC) on which it was decided to the day before
-- the node's day that it is booked on. Days without waiting units are left out. shipping_units: booked on the
-- next day. A day's backlog over the node's daily capacity is its length in days.
-- Source: domain.md A11, D.10.
WITH standing AS (
    SELECT
        tenant,
        network,
        order_id,
        line_no,
        node,
        ship_date,
        sum(CASE event WHEN 'placed' THEN qty WHEN 'released' THEN -qty ELSE 0 END)::BIGINT AS units,
        max(position) FILTER (event = 'placed') AS position,
        any_value(partition) AS partition
    FROM allocations
    WHERE event IN ('placed', 'released')
    GROUP BY tenant, network, order_id, line_no, node, ship_date
    HAVING units > 0
),

decided AS (
    SELECT partition, position, order_id, any_value(decided_at)::DATE AS decided_date
    FROM decisions
    GROUP BY partition, position, order_id
),

waiting AS (
    SELECT
        s.tenant,
        s.network,
        s.node,
        s.units,
        s.ship_date,
        unnest(generate_series(d.decided_date, s.ship_date - 1, INTERVAL 1 DAY))::DATE AS day
    FROM standing AS s
    INNER JOIN decided AS d USING (partition, position, order_id)
)

SELECT
    tenant,
    network,
    node,
    day,
    sum(units)::BIGINT AS waiting_units,
    coalesce(sum(units) FILTER (ship_date = day + 1), 0)::BIGINT AS shipping_units
FROM waiting
GROUP BY tenant, network, node, day
