"""Other load generators beside this one: the same server, the same load, each held against the server's own log.

`make bench-peers` makes an environment for each; `python -m benchmarks.peers` runs those that are there.
"""
