"""What a run or a study was, in formats that others read."""
