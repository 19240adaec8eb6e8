"""Trained networks as graphs that other programs run: from predictors in units to a distribution in units."""
