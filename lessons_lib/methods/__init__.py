"""What is done with G: bounds, edits in h, translation, text, rivals."""
