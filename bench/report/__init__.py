"""Results -> pages for people and files for programs. No arithmetic here."""
