"""What users hold: queues, jobs, handlers; each method hands on to one service."""
