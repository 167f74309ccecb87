-- open_allocations: units of each order line that a node still holds for it.
-- Definition: placed - released - consumed, per order line, node and lane; rows that come to nothing are
-- left out. planned_qty is what waits for planned supply (planned - unplanned), held by no stock.
-- Source: domain.md D.5 (reservation ledger).
SELECT
    tenant,
    network,
    order_id,
    line_no,
    sku,
    node,
    sum(CASE event WHEN 'placed' THEN qty WHEN 'released' THEN -qty WHEN 'consumed' THEN -qty
        ELSE 0 END)::BIGINT AS open_qty,
    sum(CASE event WHEN 'planned' THEN qty WHEN 'unplanned' THEN -qty ELSE 0 END)::BIGINT AS planned_qty,
    max(position) AS position
FROM allocations
GROUP BY tenant, network, order_id, line_no, sku, node
HAVING open_qty <> 0 OR planned_qty <> 0
