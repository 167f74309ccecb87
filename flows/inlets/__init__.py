"""Ways in that fetch: what they take is durable on the raw topic of its channel before it counts as taken."""
