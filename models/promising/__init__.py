"""When a node can ship: calendars, cut-offs and daily capacity."""
