-- carbon_options: for every order's latest plan, the lane that would ship it whole with the least CO2e.
-- Definition: saved_g, extra_cost_minor and extra_hours are the differences of that lane to the plan that was
-- chosen, at the time of the decision; an order that no single node could ship whole, or whose plan is the
-- greenest already, is not listed. CO2e is well to wheel: mass x the lane's distance x the factor of its mode
-- (ISO 14083); factor_id names the factor within its set, distance_kind how the distance was come by.
-- Source: domain.md F, H12.
WITH latest AS (
    SELECT *
    FROM decisions
    WHERE kind <> 'SHADOW' AND len(nodes) > 0
    QUALIFY row_number() OVER (PARTITION BY tenant, network, order_id ORDER BY position DESC, "index" DESC) = 1
),

modes AS (
    SELECT DISTINCT ON (tenant, network, lane_id) tenant, network, lane_id, mode
    FROM lanes
    ORDER BY tenant, network, lane_id, position DESC, "index" DESC
)

SELECT
    d.tenant,
    d.network,
    d.order_id,
    d.lane_ids,
    d.carbon_g,
    d.total_minor,
    d.greenest_lane_id,
    d.greenest_carbon_g,
    d.carbon_g - d.greenest_carbon_g AS saved_g,
    d.greenest_total_minor - d.total_minor AS extra_cost_minor,
    (d.greenest_door_minutes - d.door_minutes) / 60.0 AS extra_hours,
    d.factor_set,
    d.factor_set || '/' || m.mode AS factor_id,
    'lane' AS distance_kind
FROM latest AS d
LEFT JOIN modes AS m
    ON d.tenant = m.tenant AND d.network = m.network AND d.greenest_lane_id = m.lane_id
WHERE d.greenest_carbon_g < d.carbon_g
