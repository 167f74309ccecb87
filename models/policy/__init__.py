"""What business people may change: weights, costs and limits, as one validated document."""
