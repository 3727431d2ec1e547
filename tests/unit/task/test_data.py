import hashlib
import re

import pytest

from bench import DATA

README = (DATA / "README.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^\| `([^`]+)` .*\| `([0-9a-f]{64})` \|$", README, re.MULTILINE)


@pytest.mark.parametrize(("name", "digest"), LISTED, ids=[name for name, _ in LISTED])
def test_a_data_file_is_the_one_that_its_readme_lists(name, digest):
    assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest
