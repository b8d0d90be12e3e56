"""A whole paper in three small files: what a new one needs, and what every test over the registries must cope with."""
