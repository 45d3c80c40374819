"""What happens next: statuses, instances, readiness, retries, timeouts, cascades, reruns, alarms, and the loop."""
