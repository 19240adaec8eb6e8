"""Applying a trained model to new data: a bundle, its inputs read block by block, a CF file of predictions."""
