"""Results -> pages for people and files for programs. No arithmetic here.

In: `Results`, the examples, verdicts recorded before. Out: a folder with report.md, report.html, figures, CSV
and JSON (files.py).
"""
