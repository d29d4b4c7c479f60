"""How fast the job queue is, beside bare nats-py."""
