"""A page that answers what suites of runs ask: tables, plots and sentences, all from the runs' own numbers."""
