-- order_health: how each tracked order was served: in time, in full, undamaged, at the first try, to the customer's
-- liking, and at what cost. One row per order; service_kpis counts them.
-- Definition: the three dates are latest_due_at (told last), original_due_at (the first since the customer last
-- changed the order; the headline) and requested_at (asked for; known where the journal is in the lake).
-- is_on_time_* compares the delivery of the last parcel with them: up to the instant itself, no tolerance;
-- null while a parcel is not delivered or units are still to be placed, false once the order can be no more (lost,
-- or on its way back before it was there). is_in_full: every parcel arrived, and all units ordered (less cancelled
-- ones) were placed at nodes and not given back (as far as the journal is in the lake). is_otif: on time by the original date, and in full. is_undamaged: no parcel was
-- reported damaged, and no TEMP_EXCURSION_MAJOR: none but those that later reports showed to be none, so that they
-- were resolved before the order was over. is_documented: no wrong address, nothing held by customs or for a document. is_perfect:
-- all of these. attempts: tries to deliver, failed ones and the one that did not. visits: installations and other
-- visits; is_closed_visit: one of them left nothing to do; is_fixed_first: the first did, and none followed
-- within 30 days. cost_minor: all plans, with amount_minor offered for trouble. due_date: day (UTC) of the
-- original date.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md D.10 (OTD variants by OpenReference DP13; OTIF; perfect order; first-time fix), A49.
WITH parcels AS (
    SELECT
        tenant,
        network,
        order_id,
        count(*) FILTER (phase IS NOT NULL) AS parcels,
        bool_or(
            delivered_at IS NULL AND phase IN ('LOST', 'DAMAGED', 'RETURNING', 'RETURNED')
        ) AS is_lost,
        sum(failed_attempts)::BIGINT AS failed_attempts,
        count(delivered_at) AS arrived,
        list(DISTINCT node ORDER BY node) FILTER (node IS NOT NULL) AS nodes,
        list(DISTINCT carrier ORDER BY carrier) FILTER (carrier IS NOT NULL) AS carriers
    FROM shipments
    WHERE NOT coalesce(is_stand_in, false)
    GROUP BY tenant, network, order_id
),

visited AS (
    SELECT
        tenant,
        network,
        order_id,
        count(*) AS visits,
        bool_or(fixed) AS is_closed_visit,
        first(fixed ORDER BY "at", turn) AS is_first_fixed,
        list("at" ORDER BY "at", turn) AS days
    FROM history
    WHERE step IN ('INSTALLED', 'VISITED') AND taken_back_at IS NULL
    GROUP BY tenant, network, order_id
),

reported AS (
    SELECT
        tenant,
        network,
        order_id,
        bool_or(step = 'DAMAGED') AS is_damaged,
        bool_or(step = 'CUSTOMS_HELD' OR reason = 'ADDRESS_INVALID') AS is_badly_documented
    FROM history
    WHERE package IS NOT NULL AND coalesce(classifier, 'ACT') = 'ACT' AND taken_back_at IS NULL
    GROUP BY tenant, network, order_id
),

troubled AS (
    SELECT
        tenant,
        network,
        order_id,
        count(*) FILTER (change = 'raised') AS exceptions
    FROM exceptions
    WHERE order_id <> ''
    GROUP BY tenant, network, order_id
),

ended AS (
    SELECT
        tenant,
        network,
        order_id,
        min(position) AS position
    FROM timeline
    WHERE phase IN ('CLOSED', 'CANCELLED', 'RETURNED')
    GROUP BY tenant, network, order_id
),

spoilt AS (
    SELECT tenant, network, order_id
    FROM exceptions_open
    WHERE code = 'TEMP_EXCURSION_MAJOR'
    UNION
    SELECT e.tenant, e.network, e.order_id
    FROM exceptions AS e
    INNER JOIN ended AS n ON e.tenant = n.tenant AND e.network = n.network AND e.order_id = n.order_id
    WHERE e.code = 'TEMP_EXCURSION_MAJOR' AND e.change = 'resolved' AND e.position >= n.position
),

decided AS (
    SELECT
        tenant,
        network,
        order_id,
        last(lane_ids ORDER BY position, "index") FILTER (len(lane_ids) > 0) AS lane_ids,
        last(region ORDER BY position, "index") AS region,
        bool_or(hold_reason IN ('CUSTOMS_DOCUMENT', 'INCORRECT_ADDRESS')) AS is_badly_documented
    FROM decisions
    WHERE kind <> 'SHADOW'
    GROUP BY tenant, network, order_id
),

offered AS (
    SELECT
        tenant,
        network,
        order_id,
        sum(amount_minor)::BIGINT AS amount_minor
    FROM actions
    WHERE action = 'COMPENSATE'
    GROUP BY tenant, network, order_id
),

joined AS (
    SELECT
        s.tenant,
        s.network,
        s.order_id,
        s.phase,
        s.customer,
        s.tier,
        coalesce(s.channel, o.channel) AS channel,
        d.region,
        coalesce(p.nodes, o.nodes, []) AS nodes,
        coalesce(p.carriers, []) AS carriers,
        coalesce(d.lane_ids, []) AS lane_ids,
        s.ordered_at,
        s.promise_at AS latest_due_at,
        s.first_promise_at AS original_due_at,
        o.requested_by AS requested_at,
        s.delivered_at,
        coalesce(p.is_lost, false) AS is_lost,
        coalesce(p.parcels, 0) AS parcels,
        coalesce(o.units_placed >= o.units_ordered, true) AS is_complete,
        NOT coalesce(r.is_damaged, false) AND w.order_id IS NULL AS is_undamaged,
        NOT coalesce(r.is_badly_documented, false) AND NOT coalesce(d.is_badly_documented, false) AS is_documented,
        coalesce(p.failed_attempts, 0) + coalesce(p.arrived, 0) AS attempts,
        coalesce(p.failed_attempts, 0) AS failed_attempts,
        coalesce(v.visits, 0) AS visits,
        coalesce(v.is_closed_visit, false) AS is_closed_visit,
        coalesce(v.is_first_fixed AND (v.visits = 1 OR v.days[2] > v.days[1] + INTERVAL 30 DAY), false)
            AS is_fixed_first,
        s.nps,
        s.csat,
        coalesce(t.exceptions, 0) AS exceptions,
        o.cost_minor,
        a.amount_minor,
        o.carbon_g,
        s.partition,
        s.position
    FROM order_states AS s
    LEFT JOIN parcels AS p ON s.tenant = p.tenant AND s.network = p.network AND s.order_id = p.order_id
    LEFT JOIN visited AS v ON s.tenant = v.tenant AND s.network = v.network AND s.order_id = v.order_id
    LEFT JOIN reported AS r ON s.tenant = r.tenant AND s.network = r.network AND s.order_id = r.order_id
    LEFT JOIN troubled AS t ON s.tenant = t.tenant AND s.network = t.network AND s.order_id = t.order_id
    LEFT JOIN spoilt AS w ON s.tenant = w.tenant AND s.network = w.network AND s.order_id = w.order_id
    LEFT JOIN decided AS d ON s.tenant = d.tenant AND s.network = d.network AND s.order_id = d.order_id
    LEFT JOIN offered AS a ON s.tenant = a.tenant AND s.network = a.network AND s.order_id = a.order_id
    LEFT JOIN orders AS o ON s.tenant = o.tenant AND s.network = o.network AND s.order_id = o.order_id
)

SELECT
    tenant,
    network,
    order_id,
    phase,
    customer,
    tier,
    channel,
    region,
    nodes,
    carriers,
    lane_ids,
    ordered_at,
    latest_due_at,
    original_due_at,
    requested_at,
    original_due_at::DATE AS due_date,
    delivered_at,
    CASE WHEN is_lost AND latest_due_at IS NOT NULL THEN false WHEN is_complete THEN delivered_at <= latest_due_at END
        AS is_on_time_latest,
    CASE WHEN is_lost AND original_due_at IS NOT NULL THEN false WHEN is_complete THEN delivered_at <= original_due_at END
        AS is_on_time_original,
    CASE WHEN is_lost AND requested_at IS NOT NULL THEN false WHEN is_complete THEN delivered_at <= requested_at END
        AS is_on_time_requested,
    CASE WHEN is_lost OR delivered_at IS NOT NULL
        THEN NOT is_lost AND is_complete END AS is_in_full,
    is_on_time_original AND is_in_full AS is_otif,
    is_undamaged,
    is_documented,
    is_otif AND is_undamaged AND is_documented AS is_perfect,
    parcels,
    attempts,
    failed_attempts,
    visits,
    is_closed_visit,
    is_fixed_first,
    nps,
    csat,
    exceptions,
    cost_minor,
    amount_minor,
    carbon_g,
    partition,
    position
FROM joined
