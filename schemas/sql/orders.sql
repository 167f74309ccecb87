-- orders: one row per order, as it stands.
-- Definition: outcome, promise and what else was decided come from the order's latest decision that is not
-- a what-if (SHADOW); an order lives in one log partition. promise_at is the latest commitment (null while a
-- unit has no date), first_promise_at the original one since the customer last changed the order (OTD is
-- measured against the original; OpenReference DP13). attempts are refusals by nodes. Units and
-- nodes come from the allocations: units_placed are placed and not released (handed over or not),
-- units_backordered are promised from planned supply, units_unserved are neither. cost_minor and carbon_g
-- are those of every plan decided for the order, also of plans withdrawn since; late_probability and
-- margin_minor are those of its latest plan.
-- Source: domain.md D.5 (reservation ledger), D.7 (outcomes), D.10 (OTD variants).
WITH decided AS (
    SELECT
        tenant,
        network,
        order_id,
        last(revision ORDER BY position, "index") AS revision,
        last(region ORDER BY position, "index") AS region,
        last(channel ORDER BY position, "index") AS channel,
        last(outcome ORDER BY position, "index") AS outcome,
        last(kind ORDER BY position, "index") AS latest_kind,
        last(trigger ORDER BY position, "index") AS latest_trigger,
        last(hold_reason ORDER BY position, "index") AS hold_reason,
        last(decided_at ORDER BY position, "index") AS decided_at,
        min(decided_at) AS first_decided_at,
        count(*) AS decisions,
        last(requested_by ORDER BY position, "index") AS requested_by,
        last(latest_commit_at ORDER BY position, "index") AS promise_at,
        last(original_commit_at ORDER BY position, "index") AS first_promise_at,
        last(attempts ORDER BY position, "index") AS attempts,
        last(priority_score ORDER BY position, "index") AS priority_score,
        last(backorder_due_at ORDER BY position, "index") AS backorder_due_at,
        last(lines ORDER BY position, "index") AS lines,
        last(units_ordered ORDER BY position, "index") AS units_ordered,
        sum(total_minor) FILTER (len(nodes) > 0)::BIGINT AS cost_minor,
        sum(carbon_g) FILTER (len(nodes) > 0)::BIGINT AS carbon_g,
        arg_max(late_probability, (position, "index")) FILTER (len(nodes) > 0) AS late_probability,
        arg_max(margin_minor, (position, "index")) AS margin_minor,
        any_value(partition) AS partition,
        max(position) AS position,
        last("index" ORDER BY position, "index") AS "index"
    FROM decisions
    WHERE kind <> 'SHADOW'
    GROUP BY tenant, network, order_id
),

held AS (
    SELECT
        tenant,
        network,
        order_id,
        node,
        coalesce(sum(qty) FILTER (event = 'placed'), 0)
        - coalesce(sum(qty) FILTER (event = 'released'), 0) AS units,
        coalesce(sum(qty) FILTER (event = 'planned'), 0)
        - coalesce(sum(qty) FILTER (event = 'unplanned'), 0) AS planned,
        min((position, "index")) AS since
    FROM allocations
    GROUP BY tenant, network, order_id, node
),

placed AS (
    SELECT
        tenant,
        network,
        order_id,
        sum(units)::BIGINT AS units_placed,
        sum(planned)::BIGINT AS units_backordered,
        list(node ORDER BY since) FILTER (units > 0) AS nodes
    FROM held
    GROUP BY tenant, network, order_id
)

SELECT
    d.tenant,
    d.network,
    d.order_id,
    d.revision,
    d.region,
    d.channel,
    d.outcome,
    d.latest_kind,
    d.latest_trigger,
    d.hold_reason,
    d.decided_at,
    d.first_decided_at,
    d.decisions,
    d.requested_by,
    d.promise_at,
    d.first_promise_at,
    d.attempts,
    d.priority_score,
    d.backorder_due_at,
    d.lines,
    d.units_ordered,
    coalesce(p.units_placed, 0) AS units_placed,
    coalesce(p.units_backordered, 0) AS units_backordered,
    d.units_ordered - coalesce(p.units_placed, 0) - coalesce(p.units_backordered, 0) AS units_unserved,
    coalesce(p.nodes, []) AS nodes,
    d.cost_minor,
    d.carbon_g,
    d.late_probability,
    d.margin_minor,
    d.partition,
    d.position,
    d."index"
FROM decided AS d
LEFT JOIN placed AS p USING (tenant, network, order_id)
