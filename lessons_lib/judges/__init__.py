"""Who says how good it is: networks that read pictures, metrics, tables and clocks."""
