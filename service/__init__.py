"""Encoded pictures in over HTTP, classes and calibrated confidences out. Never imports PyTorch."""
