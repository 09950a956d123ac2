"""What users import: run images and Python functions on a Ray cluster."""
