"""Background jobs for trio and asyncio programs."""
