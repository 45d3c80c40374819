"""The commands: `penstock init`, `run`, `server`, `runner`, `validate` and `keys`."""
