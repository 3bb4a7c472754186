"""Figures that say how well a synthesiser plays: metrics, baselines, intervals and the report."""
