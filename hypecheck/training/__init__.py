"""Training and evaluation: never imported at run time. scikit-learn lives here only."""
