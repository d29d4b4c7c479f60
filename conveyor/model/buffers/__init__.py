"""Buffers: jobs that are collected, reduced to fewer, and then flushed to their queues."""
