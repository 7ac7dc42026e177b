"""The five boards: which panels each has, in which rows, and what can be chosen at its top."""
