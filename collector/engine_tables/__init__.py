"""What each engine exposes, read from `engines/*.toml`: checked, documented, and its bucket edges set."""
