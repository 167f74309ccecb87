-- dead_letters_by_reason: records of the journal that could not take effect, counted.
-- Definition: per network, record kind and reason; example is the latest one's detail.
-- Source: house-style.md 3 (bad input); schemas.codes.DeadLetterReason.
SELECT
    tenant,
    network,
    kind,
    reason,
    count(*) AS records,
    min("at") AS first_at,
    max("at") AS last_at,
    arg_max(detail, (partition, position, "index")) AS example
FROM dead_letters
GROUP BY tenant, network, kind, reason
