"""What looks at training between steps: console, curve, log, probe. Never a number changes."""
