-- stock_now: current stock, one row per network, node and sku.
-- Definition: the latest version of each cell by (position, index).
-- available = on hand - reserved - safety stock; it may be negative.
-- Source: house-style.md, names (ATP without planned supply); design.md 4 (state is appended as versions).
SELECT tenant, network, node, sku, on_hand, reserved, safety_stock, available, "at"
FROM stock
QUALIFY
    row_number() OVER (
        PARTITION BY tenant, network, node, sku ORDER BY position DESC, "index" DESC
    ) = 1
