"""The boxes task: world -> wording -> scenarios -> examples."""
