"""Scores by name and split, SoundFont renders of them, augmentation, and folders of training pairs."""
