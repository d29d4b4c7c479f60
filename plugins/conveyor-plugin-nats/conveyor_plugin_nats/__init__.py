"""Conveyor's job queue over NATS JetStream."""
