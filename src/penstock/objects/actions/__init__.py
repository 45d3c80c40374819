"""Actions: what happens when work ends or is late."""
