"""The webhook receiver: what platforms post is durable on the raw topic of its channel before they hear so."""
