"""The evaluation stage: metrics, plots and model card on the test set."""
