-- works: one row per tracked order and node that was offered units of it: how far the work is, in units.
-- Definition: total = units offered, cancelled = units withdrawn, fulfilled = units handed over; a hand-over that
-- names no units is of all that the order then had there, and so is a milestone of a parcel that left the node,
-- where the node itself reports no hand-over. fulfilled + cancelled <= total. attempt counts the decisions that
-- offered units; answers count if they are not older than the newest offer.
-- execution: OPEN, IN_PROGRESS (picked, packed or handed over in part), CLOSED (nothing is left to do),
-- INCOMPLETE (nothing is left, and part of the newest offer was withdrawn), CANCELLED (all was withdrawn).
-- ship_by: the end of the node's day on which the newest offer is to be shipped.
-- negotiation: OFFERED, ACCEPTED (by word or by work), REJECTED (refused, or not answered in time), WITHDRAWN.
-- Source: domain.md D.5.
WITH gone AS (
    SELECT
        tenant,
        network,
        order_id,
        source,
        retracts AS event_id
    FROM timeline
    WHERE retracts <> ''
),

said AS (
    SELECT
        *,
        -- the router's records, by where in the journal their cause is
        coalesce(try_cast(split_part(event_id, '/', 2) AS BIGINT) << 20, -1)
        + coalesce(try_cast(split_part(event_id, '/', 3) AS BIGINT), 0) AS cause,
        step = 'OFFERED' AS is_offer,
        step = 'WITHDRAWN' AS is_withdrawal,
        classifier IS NULL AND step = 'HANDED_OVER' AS is_hand_over,
        classifier = 'ACT' AND step <> 'PACKED' AS has_left
    FROM timeline
    ANTI JOIN gone USING (tenant, network, order_id, source, event_id)
    WHERE
        node IS NOT NULL
        AND (
            classifier = 'ACT'
            OR classifier IS NULL AND step IN (
                'OFFERED', 'WITHDRAWN', 'WORK_ACCEPTED', 'WORK_REFUSED', 'PICKED', 'SHORT_PICKED', 'PACKED',
                'HANDED_OVER'
            )
        )
),

offered AS (
    SELECT
        *,
        max(cause) FILTER (is_offer) OVER work AS newest,
        arg_max("at", cause) FILTER (is_offer) OVER work AS offered_at,
        -- of the hand-overs of everything, the last; the node's own word counts before the carrier's
        coalesce(
            max("at") FILTER (is_hand_over AND units IS NULL) OVER work,
            CASE
                WHEN count(*) FILTER (is_hand_over) OVER work = 0 THEN max("at") FILTER (has_left) OVER work
            END
        ) AS left_at
    FROM said
    WINDOW work AS (PARTITION BY tenant, network, order_id, node)
),

counted AS (
    SELECT
        tenant,
        network,
        order_id,
        node,
        any_value(offered_at) AS offered_at,
        arg_max(planned_at, cause) FILTER (is_offer) AS ship_by,
        count(DISTINCT cause >> 20) FILTER (is_offer) AS attempt,
        sum(units) FILTER (is_offer) AS total,
        coalesce(sum(units) FILTER (is_withdrawal), 0) AS withdrawn,
        coalesce(sum(units) FILTER (is_withdrawal AND cause > newest), 0) AS withdrawn_of_newest,
        coalesce(sum(units) FILTER (is_offer AND "at" <= left_at), 0)
        - coalesce(sum(units) FILTER (is_withdrawal AND "at" <= left_at), 0)
        + coalesce(sum(units) FILTER (is_hand_over AND (left_at IS NULL OR "at" > left_at)), 0) AS handed_over,
        last(step ORDER BY "at", step, event_id) FILTER (
            "at" >= offered_at
            AND (step IN ('WORK_ACCEPTED', 'PICKED', 'SHORT_PICKED', 'PACKED') OR is_hand_over OR has_left)
            OR "at" >= offered_at AND step = 'WORK_REFUSED' AND units IS NULL
        ) AS answer,
        count(*) FILTER (step = 'WORK_REFUSED' AND "at" >= offered_at) > 0 AS is_refused,
        count(*) FILTER (step IN ('PICKED', 'SHORT_PICKED', 'PACKED') AND "at" >= offered_at) > 0 AS is_begun,
        any_value(partition) AS partition,
        max(position) AS position
    FROM offered
    WHERE newest IS NOT NULL
    GROUP BY tenant, network, order_id, node
),

settled AS (
    SELECT
        *,
        least(withdrawn, total) AS cancelled,
        greatest(least(handed_over, total - least(withdrawn, total)), 0) AS fulfilled
    FROM counted
)

SELECT
    tenant,
    network,
    order_id,
    node,
    CASE
        WHEN cancelled = total THEN 'CANCELLED'
        WHEN fulfilled + cancelled < total AND (is_begun OR fulfilled > 0) THEN 'IN_PROGRESS'
        WHEN fulfilled + cancelled < total THEN 'OPEN'
        WHEN withdrawn_of_newest > 0 THEN 'INCOMPLETE'
        ELSE 'CLOSED'
    END AS execution,
    CASE
        WHEN cancelled = total AND is_refused THEN 'REJECTED'
        WHEN cancelled = total THEN 'WITHDRAWN'
        WHEN answer = 'WORK_REFUSED' THEN 'REJECTED'
        WHEN answer IS NOT NULL THEN 'ACCEPTED'
        ELSE 'OFFERED'
    END AS negotiation,
    attempt,
    offered_at,
    ship_by,
    total::BIGINT AS total,
    fulfilled::BIGINT AS fulfilled,
    cancelled::BIGINT AS cancelled,
    partition,
    position
FROM settled
