"""Running notebooks and printing their pages."""
