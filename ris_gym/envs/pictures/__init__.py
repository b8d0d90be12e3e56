"""Pictures: `panels` holds what papers share, one module per paper draws its own. matplotlib is imported by `rendering` only."""
