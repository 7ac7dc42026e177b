"""The server's side of a load run: its metrics, scraped in the same seconds, and its account held against ours."""
