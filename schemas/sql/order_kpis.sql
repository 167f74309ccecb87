-- order_kpis: how well orders were served, one row per network.
-- Definitions: fill_rate: units placed / units ordered, over orders not cancelled. first_assignment_kept_rate:
-- of the orders that were ever placed, those that no refusal, failure or correction made be decided again (a
-- wish of the customer is none of these). reroute_rate: its complement over all orders. attempts_per_order:
-- refusals by nodes. split_rate and packages_per_order: nodes of the orders placed (a package is what one node
-- ships). promise_hours: from the first decision to the first date told. original_commitment_kept_rate: of the
-- orders not cancelled with a date, those whose latest date is not after the first told; requested_date_kept_rate:
-- of those that asked for a date and stand with one. auto_decision_rate: decisions that no person made.
-- held_for_review: orders that ever waited for a person (not for money). unserved_units: neither placed nor
-- backordered, of orders not cancelled; units_in_doubt: more placed than ordered, or less than none. backlog_units:
-- placed and still at their nodes. Costs and carbon: of every plan decided, also of plans withdrawn since.
-- Source: domain.md D.10, H2.
WITH said AS (
    SELECT
        tenant,
        network,
        order_id,
        bool_or(len(nodes) > 0) AS was_placed,
        bool_or(trigger IN ('R_REJECTED', 'R_TIMEOUT', 'R_SHORT_PICK', 'R_STOCK_CORRECTION', 'R_CARRIER_FAIL',
            'R_PROMISE_AT_RISK', 'R_EXCURSION', 'NODE_CLOSED', 'CAPACITY_CUT')) AS was_moved,
        max(attempts) AS attempts,
        bool_or(outcome = 'HELD_FOR_REVIEW' AND hold_reason <> 'AWAITING_PAYMENT') AS was_held,
        count(*) AS decisions,
        count(*) FILTER (selection = 'S_HUMAN' OR trigger = 'R_OPERATOR') AS decisions_by_people,
        min(decided_at) AS first_decided_at,
        arg_min(original_commit_at, (position, "index")) FILTER (original_commit_at IS NOT NULL) AS told_at,
        last(original_commit_at ORDER BY position, "index") AS original_at,
        last(latest_commit_at ORDER BY position, "index") AS latest_at,
        last(requested_by ORDER BY position, "index") AS requested_by
    FROM decisions
    WHERE kind <> 'SHADOW'
    GROUP BY tenant, network, order_id
),

counted AS (
    SELECT
        s.*,
        o.outcome = 'CANCELLED' AS is_cancelled,
        o.units_ordered,
        o.units_placed,
        o.units_backordered,
        o.units_unserved,
        len(o.nodes) AS packages,
        o.cost_minor,
        o.carbon_g,
        date_diff('second', s.first_decided_at, s.told_at) / 3600 AS promise_hours
    FROM said AS s
    INNER JOIN orders AS o USING (tenant, network, order_id)
),

open_units AS (
    SELECT tenant, network, sum(open_qty)::BIGINT AS units
    FROM open_allocations
    GROUP BY tenant, network
)

SELECT
    c.tenant,
    c.network,
    count(*) AS orders,
    sum(units_placed) FILTER (NOT is_cancelled) / nullif(sum(units_ordered) FILTER (NOT is_cancelled), 0)
        AS fill_rate,
    count(*) FILTER (was_placed AND NOT was_moved) / nullif(count(*) FILTER (was_placed), 0)
        AS first_assignment_kept_rate,
    count(*) FILTER (was_moved) / count(*) AS reroute_rate,
    avg(attempts) AS attempts_per_order,
    count(*) FILTER (packages > 1) / nullif(count(*) FILTER (packages > 0), 0) AS split_rate,
    avg(packages) FILTER (packages > 0) AS packages_per_order,
    avg(promise_hours) AS promise_hours_mean,
    quantile_cont(promise_hours, 0.95) AS promise_hours_p95,
    count(*) FILTER (latest_at <= original_at AND NOT is_cancelled)
    / nullif(count(*) FILTER (original_at IS NOT NULL AND NOT is_cancelled), 0) AS original_commitment_kept_rate,
    count(*) FILTER (latest_at <= requested_by AND NOT is_cancelled)
    / nullif(count(*) FILTER (latest_at IS NOT NULL AND requested_by IS NOT NULL AND NOT is_cancelled), 0)
        AS requested_date_kept_rate,
    1 - sum(decisions_by_people) / sum(decisions) AS auto_decision_rate,
    count(*) FILTER (was_held) AS held_for_review,
    coalesce(sum(units_backordered) FILTER (NOT is_cancelled), 0)::BIGINT AS backordered_units,
    coalesce(sum(units_unserved) FILTER (NOT is_cancelled), 0)::BIGINT AS unserved_units,
    count(*) FILTER (units_placed < 0 OR units_backordered < 0 OR units_unserved < 0) AS units_in_doubt,
    coalesce(any_value(p.units), 0) AS backlog_units,
    avg(cost_minor) AS cost_minor_per_order,
    avg(carbon_g) AS carbon_g_per_order
FROM counted AS c
LEFT JOIN open_units AS p ON p.tenant = c.tenant AND p.network = c.network
GROUP BY c.tenant, c.network
