-- channel_fairness: whether channels are served alike, one row per network and channel.
-- Definitions: fill_rate: units placed / units ordered, over orders not cancelled. fairness_index: Jain's index
-- over the fill rates of the network's channels, (sum x)^2 / (n sum x^2): 1 if all are served alike, 1/n if one
-- gets everything; null where nobody got anything. It is the same in every row of a network.
-- Source: domain.md D.10; R. Jain, D. Chiu, W. Hawe, DEC-TR-301 (1984).
WITH channels AS (
    SELECT
        tenant,
        network,
        channel,
        count(*) AS orders,
        count(*) FILTER (outcome = 'FULLY_ROUTED') AS routed,
        sum(units_ordered)::BIGINT AS units_ordered,
        sum(units_placed)::BIGINT AS units_placed,
        sum(units_placed) / nullif(sum(units_ordered), 0) AS fill_rate
    FROM orders
    WHERE outcome <> 'CANCELLED'
    GROUP BY tenant, network, channel
)

SELECT
    *,
    power(sum(fill_rate) OVER network_channels, 2)
    / nullif(count(fill_rate) OVER network_channels * sum(power(fill_rate, 2)) OVER network_channels, 0)
        AS fairness_index
FROM channels
WINDOW network_channels AS (PARTITION BY tenant, network)
