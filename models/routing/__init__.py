"""The router: candidates, features, scores, plans, and the fold that ties them to the ledger."""
