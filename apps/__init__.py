"""The command line: one file per verb, each a thin shell around a function of the public API."""
