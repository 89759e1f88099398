"""Training of adapters and of their encoders: lists, targets, two stages, calibration."""
