"""The doctor of captures: what is wrong with one, told in rows, and how to mend it."""
