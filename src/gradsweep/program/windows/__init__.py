"""Windows that slide over an array: convolutions and pooling, as scalar equations."""
