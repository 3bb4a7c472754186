"""Lightning modules and data modules, one a task."""
