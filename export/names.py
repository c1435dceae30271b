"""What every exported graph calls its input and its outputs."""

OPSET = 18
INPUT = "images"
LOGITS = "logits"
CALIBRATED = "calibrated"  # what softmax makes probabilities of
BENDING = "bending_"  # how what bends the logits begins
PROBABILITIES = "probabilities"
