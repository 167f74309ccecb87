-- candidates: one row per decision and node of its network: was it in the running, and if not, why not.
-- Definition: decisions.exclusions unnested; element i (from 0) is the node with node_no i. code 0 is
-- FEASIBLE. chosen: the node is in the winning plan. A node's name is that of its latest version.
-- Source: domain.md D.7 (excluded-by); names are generated from schemas.codes.Exclusion.
WITH named AS (
    SELECT tenant, network, node_no, node
    FROM nodes
    QUALIFY
        row_number() OVER (
            PARTITION BY tenant, network, node_no ORDER BY position DESC, "index" DESC
        ) = 1
),
unnested AS (
    SELECT
        partition,
        position,
        "index",
        tenant,
        network,
        order_id,
        decided_at,
        nodes AS winners,
        unnest(exclusions) AS code,
        unnest(range(len(exclusions))) AS node_no
    FROM decisions
)
SELECT
    u.partition,
    u.position,
    u."index",
    u.tenant,
    u.network,
    u.order_id,
    u.decided_at,
    u.node_no::INTEGER AS node_no,
    n.node,
    u.code,
    coalesce(c.name, 'X_' || u.code) AS exclusion,
    u.code = 0 AS feasible,
    coalesce(list_contains(u.winners, n.node), false) AS chosen
FROM unnested AS u
LEFT JOIN named AS n
    ON n.tenant = u.tenant AND n.network = u.network AND n.node_no = u.node_no
LEFT JOIN exclusion_codes AS c ON c.code = u.code
