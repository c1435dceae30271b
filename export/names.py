"""What every exported graph calls its input and its outputs."""

OPSET = 18
INPUT = "images"
LOGITS = "logits"
PROBABILITIES = "probabilities"
