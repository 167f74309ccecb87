-- routing_summary: how routing is doing, one row per network, over its orders as they stand (view orders).
-- Definitions: routed, partially_routed, backordered, unroutable, held, cancelled: orders by outcome.
-- splits: orders placed on more than one node; split_rate: of the orders placed anywhere. nodes_per_order:
-- nodes of those, on average. fill_rate: units placed / units ordered, over orders not cancelled.
-- reroute_rate: orders with a REROUTE decision / orders. first_assignment_kept_rate: its complement among
-- orders placed anywhere. cost_minor: of every plan decided, withdrawn ones included; cost_minor_per_order
-- and carbon_g_per_order: per order that had a plan. late_risk: mean late_probability of routed orders.
-- auto_decision_rate: decisions that no person made / decisions. orders_with_margin had a runner-up.
-- Source: domain.md D.10.
WITH decided AS (
    SELECT
        tenant,
        network,
        order_id,
        bool_or(kind = 'REROUTE') AS is_rerouted,
        count(*) AS decisions,
        count(*) FILTER (selection = 'S_HUMAN') AS decisions_by_people
    FROM decisions
    WHERE kind <> 'SHADOW'
    GROUP BY tenant, network, order_id
)

SELECT
    o.tenant,
    o.network,
    count(*) AS orders,
    count(*) FILTER (o.outcome = 'FULLY_ROUTED') AS routed,
    count(*) FILTER (o.outcome = 'PARTIALLY_ROUTED') AS partially_routed,
    count(*) FILTER (o.outcome = 'BACKORDERED') AS backordered,
    count(*) FILTER (o.outcome = 'UNROUTABLE') AS unroutable,
    count(*) FILTER (o.outcome IN ('HELD_FOR_REVIEW', 'QUEUED')) AS held,
    count(*) FILTER (o.outcome = 'CANCELLED') AS cancelled,
    count(*) FILTER (len(o.nodes) > 1) AS splits,
    count(*) FILTER (len(o.nodes) > 1) / nullif(count(*) FILTER (len(o.nodes) > 0), 0) AS split_rate,
    avg(len(o.nodes)) FILTER (len(o.nodes) > 0) AS nodes_per_order,
    sum(o.units_placed) FILTER (o.outcome <> 'CANCELLED')
    / nullif(sum(o.units_ordered) FILTER (o.outcome <> 'CANCELLED'), 0) AS fill_rate,
    count(*) FILTER (d.is_rerouted) / count(*) AS reroute_rate,
    count(*) FILTER (NOT d.is_rerouted AND len(o.nodes) > 0)
    / nullif(count(*) FILTER (len(o.nodes) > 0), 0) AS first_assignment_kept_rate,
    1 - sum(d.decisions_by_people) / sum(d.decisions) AS auto_decision_rate,
    sum(o.cost_minor)::BIGINT AS cost_minor,
    avg(o.cost_minor) AS cost_minor_per_order,
    avg(o.carbon_g) AS carbon_g_per_order,
    avg(o.late_probability) FILTER (o.outcome = 'FULLY_ROUTED') AS late_risk,
    count(o.margin_minor) AS orders_with_margin,
    median(o.margin_minor) AS median_margin_minor
FROM orders AS o
INNER JOIN decided AS d USING (tenant, network, order_id)
GROUP BY o.tenant, o.network
