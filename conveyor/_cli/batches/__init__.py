"""``conveyor batch``: batch jobs from the command line, a module for each kind of command."""
