"""One pipeline a task."""
