"""Wiring only: experiments, stages, the Prefect flow and the command line; no arithmetic."""
