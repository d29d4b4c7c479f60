"""Deliveries: jobs that come from a broker, run by the same worker as those of a store."""
