-- history: what is said of each order, row by row of the timeline, with when each was taken back.
-- history(moment): the same as it was known at a moment, whatever has been learnt or corrected since.
-- Definition: a row is known from recorded_at on. It is taken back (taken_back_at, null while it stands) by a
-- record of the same source that names it in retracts, or, where a position had shown it, by what a later
-- position showed. "at" is when it happened: together the two times answer "what did we know at T of what had
-- happened by E": SELECT * FROM history('T') WHERE "at" <= 'E' AND taken_back_at IS NULL.
-- turn says what comes later of things that happened at the same instant, whenever they were learnt, as the fold
-- has it (models/tracking/history.py): the router's by their causes, else by step, then by source and id.
-- The table is read once, whole (its filters belong to the two readings of "said": so an order_id asked for from
-- outside reaches the files), since every reading of it costs a look-up 25 ms.
-- To ask of one order quickly: WHERE order_id = '...' (it reaches the files of that order alone).
-- Source: domain.md C.7 (bitemporal tracking), A28.
WITH said AS MATERIALIZED (SELECT * FROM timeline)

SELECT
    t.*,
    (
        CASE
            WHEN t.classifier IS NULL AND regexp_full_match(t.event_id, '\d{1,9}/\d{1,12}/\d{1,6}')
                THEN 1000 + (split_part(t.event_id, '/', 2)::BIGINT << 20) + split_part(t.event_id, '/', 3)::BIGINT
            ELSE step_number(t.step)
        END::HUGEINT << 64
    ) + md5_number_lower(concat_ws('/', t.source, coalesce(t.event_id, t.position::VARCHAR))) AS turn,
    CASE WHEN t.event_id IS NOT NULL OR t.position < r.position THEN r.taken_back_at END AS taken_back_at
FROM said AS t
LEFT JOIN (
    SELECT
        tenant,
        network,
        order_id,
        source,
        coalesce(nullif(retracts, ''), concat_ws('/', package, step, "at", latitude, longitude)) AS statement,
        min(recorded_at) AS taken_back_at,
        max(position) AS position
    FROM said
    WHERE (retracts <> '' OR (source = 'crossdock/geofence' AND classifier = 'RET')) AND recorded_at <= moment
    GROUP BY tenant, network, order_id, source, statement
) AS r
    ON
        t.tenant = r.tenant
        AND t.network = r.network
        AND t.order_id = r.order_id
        AND t.source = r.source
        AND coalesce(t.event_id, concat_ws('/', t.package, t.step, t."at", t.latitude, t.longitude)) = r.statement
WHERE t.recorded_at <= moment
