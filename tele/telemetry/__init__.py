"""CAPTURE: spans, events, metrics, experiments, prices, redaction, and foreign traces."""
