"""The shapes of Llama models with random weights."""

SHAPES = {  # hidden size, feed-forward size, layers, heads
    "tiny": (128, 384, 5, 2),
    "110m": (768, 2048, 12, 12),
    "7b": (4096, 11008, 32, 32),
}
