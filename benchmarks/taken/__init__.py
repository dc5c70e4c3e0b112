"""What measures the rows of benchmarks/takeaway.py, one file a subject."""
