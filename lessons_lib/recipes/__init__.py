"""What trained `data/checkpoints/`: `python -m lessons_lib.recipes NAME`, re-runnable and resumable."""
