"""The founder's page and the model card: words, plots, templates."""
