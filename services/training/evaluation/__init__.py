"""The evaluation stage: how good a bundle is on the test slice, for people and for the gate."""
