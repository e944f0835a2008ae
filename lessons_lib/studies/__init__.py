"""What lessons and tables are about: whom they edit, by which edits, and how it went."""
