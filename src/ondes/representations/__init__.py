"""Music to tensors and back."""
