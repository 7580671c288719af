"""Files: weights, pictures, downloads, and writing that never loses the old file."""
