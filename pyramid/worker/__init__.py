"""The worker process: a light parent that answers the orchestrator, and a warm child that runs its jobs."""
