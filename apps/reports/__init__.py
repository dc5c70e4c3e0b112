"""What compare and distill found, as tables, figures and files."""
