"""What is timed, how to repeat it, and the plain per-agent Mesa model that the speed is measured against."""
