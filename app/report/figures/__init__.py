"""The figures of a report, one kind or family a file."""
