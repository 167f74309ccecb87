-- units_per_node: what each node was given, gave back and shipped.
-- Definition: sums of allocation events per network and node. open_units = placed - released - consumed.
-- Source: domain.md D.5 (reservation ledger).
SELECT
    tenant,
    network,
    node,
    coalesce(sum(qty) FILTER (event = 'placed'), 0)::BIGINT AS placed_units,
    coalesce(sum(qty) FILTER (event = 'released'), 0)::BIGINT AS released_units,
    coalesce(sum(qty) FILTER (event = 'consumed'), 0)::BIGINT AS consumed_units,
    placed_units - released_units - consumed_units AS open_units,
    coalesce(sum(qty) FILTER (event = 'planned'), 0)::BIGINT
    - coalesce(sum(qty) FILTER (event = 'unplanned'), 0)::BIGINT AS planned_units,
    count(DISTINCT order_id) AS orders
FROM allocations
GROUP BY tenant, network, node
