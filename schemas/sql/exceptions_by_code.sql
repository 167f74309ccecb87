-- exceptions_by_code: business deviations, counted.
-- Definition: per network, code and severity; orders counts distinct orders, units sums qty.
-- Source: domain.md D.6.
SELECT
    tenant,
    network,
    code,
    severity,
    count(*) AS exceptions,
    count(DISTINCT nullif(order_id, '')) AS orders,
    coalesce(sum(qty), 0)::BIGINT AS units,
    min(raised_at) AS first_at,
    max(raised_at) AS last_at
FROM exceptions
GROUP BY tenant, network, code, severity
