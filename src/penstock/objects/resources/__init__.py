"""Resources: where work runs."""
