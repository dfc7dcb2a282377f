"""Event-sourced telemetry and trace analysis for experiments with language models."""
