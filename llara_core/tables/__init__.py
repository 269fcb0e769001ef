"""Parquet contracts between stages, and the only code that reads or writes Parquet."""
