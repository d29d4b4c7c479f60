"""``conveyor worker`` and ``conveyor dev``: in this process, in several, and again after each change."""
