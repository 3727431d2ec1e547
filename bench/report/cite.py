"""BibTeX entries to cite: the experiment, the task, its data set, and this suite."""

from bench import __version__

BIBTEX = f"""\
@article{{kim2024code,
  title   = {{Code Pretraining Improves Entity Tracking Abilities of Language Models}},
  author  = {{Kim, Najoung and Schuster, Sebastian and Toshniwal, Shubham}},
  journal = {{arXiv preprint arXiv:2405.21068}},
  year    = {{2024}},
  url     = {{https://arxiv.org/abs/2405.21068}}
}}

@inproceedings{{kim2023entity,
  title     = {{Entity Tracking in Language Models}},
  author    = {{Kim, Najoung and Schuster, Sebastian}},
  booktitle = {{Proceedings of the 61st Annual Meeting of the Association for Computational Linguistics}},
  year      = {{2023}},
  url       = {{https://aclanthology.org/2023.acl-long.213}}
}}

@misc{{boxesdataset,
  title  = {{boxes-dataset-v1}},
  author = {{Kim, Najoung and Schuster, Sebastian}},
  year   = {{2023}},
  url    = {{https://github.com/sebschu/entity-tracking-lms}}
}}

@software{{entitytrackingbench,
  title   = {{entity-tracking-bench: a pytest benchmark of entity tracking in pairs of language models}},
  author  = {{{{The entity-tracking-bench developers}}}},
  year    = {{2026}},
  version = {{{__version__}}}
}}
"""
