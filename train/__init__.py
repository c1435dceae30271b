"""Labelled pictures in, a trained checkpoint out. With export, the only package that imports PyTorch."""
