"""The channel kinds: one module each, found by the `kind` of a channel in the settings."""
