"""Anomaly detectors behind `domain.ports.Detector`, their calibration and their conformance suite."""
