"""The system in miniature, one module for each chapter of the tour."""
