"""``conveyor top``: what a store's queues and workers do, live."""
