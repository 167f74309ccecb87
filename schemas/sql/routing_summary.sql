-- routing_summary: how routing is doing, one row per network, over the current state of its orders.
-- Definitions: routed, partially_routed, backordered, unroutable, held, cancelled: orders by outcome of
-- their latest decision. split_rate: routed orders whose latest plan has more than one node / orders with
-- a plan. packages_per_order: nodes of that plan, on average (a package per node). fill_rate: units served
-- at the first decision / units ordered, over orders not cancelled. reroute_rate: orders with a REROUTE
-- decision / orders. first_assignment_kept_rate: its complement among orders with a plan.
-- late_risk: mean late_probability of routed orders. cost_minor_per_order: mean total of their latest plan.
-- auto_decision_rate: decisions that no person made / decisions. close_calls have a runner-up.
-- Source: domain.md D.10.
WITH first_decision AS (
    SELECT
        tenant,
        network,
        order_id,
        arg_min(units_served, (position, "index")) AS units_served,
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
    avg(len(o.nodes)) FILTER (len(o.nodes) > 0) AS packages_per_order,
    sum(f.units_served) FILTER (o.outcome <> 'CANCELLED')
    / nullif(sum(o.units_ordered) FILTER (o.outcome <> 'CANCELLED'), 0) AS fill_rate,
    count(*) FILTER (f.is_rerouted) / count(*) AS reroute_rate,
    count(*) FILTER (NOT f.is_rerouted AND len(o.nodes) > 0)
    / nullif(count(*) FILTER (len(o.nodes) > 0), 0) AS first_assignment_kept_rate,
    1 - sum(f.decisions_by_people) / sum(f.decisions) AS auto_decision_rate,
    sum(o.total_minor) FILTER (len(o.nodes) > 0)::BIGINT AS cost_minor,
    avg(o.total_minor) FILTER (len(o.nodes) > 0) AS cost_minor_per_order,
    avg(o.carbon_g) FILTER (len(o.nodes) > 0) AS carbon_g_per_order,
    avg(o.late_probability) FILTER (o.outcome = 'FULLY_ROUTED') AS late_risk,
    count(o.margin_minor) AS orders_with_margin,
    median(o.margin_minor) AS median_margin_minor
FROM orders AS o
INNER JOIN first_decision AS f USING (tenant, network, order_id)
GROUP BY o.tenant, o.network
