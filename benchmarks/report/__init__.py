"""What readers see of a run: tables, a page, a plot. Rows enter; nothing is measured."""
