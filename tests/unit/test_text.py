"""Untrusted text has no effect where it is shown, and keeps its content."""

from __future__ import annotations

import csv
import html as entities
import io
import re
import subprocess
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench import text
from bench.__main__ import main
from bench.cluster.command import write_job
from bench.records import Completion
from bench.store import Run, Settings, Store
from bench.task.prompts import Constraint

HOSTILE = (
    "![i](http://evil.example/x.png)",
    "[a](javascript:alert(1))",
    "[a][b]",
    "[b]: http://evil.example",
    "<script>alert(1)</script>",
    "<http://evil.example>",
    "see http://evil.example and www.evil.example",
    "&lt;b&gt; &#60;b&#62;",
    "\x1b[31mred\x1b[0m\x07",
    "two\r\nlines\u2028three",
    "\u202eright to left",
    "a | b `c` **d** _e_ ~~f~~ \\",
    "> quote",
    "# heading",
    "- item",
    "1. item",
    "---",
    "=cmd|' /C calc'!A0",
    "$(touch x) `touch x` ; 'x' \"y\"",
    "\ud800",
    "",
)
any_text = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("[]()!<>&;#`*_~|\\-+=:/.1 \n\x1b")))


@pytest.mark.parametrize("said", HOSTILE)
def test_a_terminal_is_given_one_line_without_controls(said):
    assert text.printable(said).isprintable()


@given(any_text)
def test_any_text_is_one_printable_line_of_bounded_length(said):
    assert text.printable(said).isprintable() and len(text.printable(said * 99)) <= text.LONGEST + 1


def test_names_without_number_take_one_line_of_bounded_length():
    assert len(text.printable("member\n" * 3001)) == text.LONGEST + 1


TAGS = {"p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def check_inert(said: str) -> None:
    """A Markdown reader shows only the text: alone, in a list and in a table cell."""
    shown = text.inert(said)
    table = ("| head |\n|---|\n| ", " |")
    for before, after in (("", ""), ("- ", ""), ("Since ", " it"), table):
        page = READER.render(before + shown + after)
        tags = set(re.findall(r"<(/?\w+)", page))
        assert {tag.strip("/") for tag in tags} <= TAGS
        assert "://" not in shown
        plain = entities.unescape(re.sub(r"<[^>]*>", " ", page)).split()
        ours = {"- ": ("", ""), table[0]: ("head ", "")}.get(before, (before, after))
        assert plain == f"{ours[0]}{text.printable(said)}{ours[1]}".split()


@pytest.mark.parametrize("said", HOSTILE)
def test_markdown_shows_it_as_it_is(said):
    check_inert(said)


@given(any_text)
def test_markdown_shows_any_text_as_it_is(said):
    check_inert(said)


@pytest.mark.parametrize(
    "said", ["tiny-base", "a_b", "12.5 [3.1, 4.0]", "-3.4 [-22.6, +15.9]", "1.5", "p < .05"]
)
def test_ordinary_text_stays_readable(said):
    assert text.inert(said) in (said, said.replace("<", "&lt;"))


@pytest.mark.parametrize("said", HOSTILE)
def test_html_is_given_no_tag_and_no_quote(said):
    shown = text.html(said)
    assert not set("<>\"'") & set(shown) and entities.unescape(shown) == text.printable(said)


@pytest.mark.parametrize("said", HOSTILE)
def test_a_spreadsheet_is_given_no_formula_and_one_cell(said):
    out = io.StringIO()
    csv.writer(out).writerow([text.csv_cell(said), "next"])
    [[cell, after]] = csv.reader(io.StringIO(out.getvalue()))
    assert not cell.startswith(("=", "+", "-", "@")) and after == "next"


@given(any_text)
def test_latex_is_given_no_command_but_ours(said):
    shown = text.latex(said)
    for ours in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"$\to$"):
        shown = shown.replace(ours, "")
    assert not re.search(r"(?<!\\)[&%$#_{}~^]|\\(?![&%$#_{}])", shown)


@pytest.mark.parametrize("said", [said for said in HOSTILE if said.isprintable()])
def test_a_shell_reads_one_word(said):
    told = subprocess.run(["bash", "-c", f"printf '%s|' {text.shell(said)}"], capture_output=True, text=True)
    assert told.stdout == f"{said}|"


@pytest.mark.parametrize("said", [said for said in HOSTILE if not said.isprintable()])
def test_a_shell_is_given_no_control_character(said):
    with pytest.raises(ValueError, match="line break or control character. Rename it"):
        text.shell(said)


NAME = "\x1b[31mm\nodel\r" + "\u202e" * 3


def test_a_store_s_own_text_steers_no_terminal(tmp_path, capsys):
    path = tmp_path / "store.sqlite"
    settings = Settings({"weights": NAME}, Constraint("a", 1), NAME)
    with Store(path) as store:
        for run in ("one", NAME):
            store.add([(settings.key(run), Completion("a", "stop", 1))], Run(run, NAME, settings))
    for action in ("ls", "why-miss", "verify"):
        assert main(["store", action, f"--store={path}"]) == 0
        shown = capsys.readouterr().out
        assert all(line.isprintable() for line in shown.split("\n")) and shown.count("\n") <= 4


def test_members_of_a_zip_take_one_line(tmp_path, capsys):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3001):
            archive.writestr(f"{number}\n\x1b[31m.jsonl", "")
    assert main(["score", f"--dataset=release:{path}/absent.jsonl", f"--store={tmp_path / 's.sqlite'}"]) != 0
    shown = capsys.readouterr().err
    assert "has no member absent.jsonl" in shown and shown.count("\n") == 1 and shown[:-1].isprintable()


def test_a_line_break_in_a_path_puts_no_line_into_a_script(tmp_path):
    script = tmp_path / "job.sh"
    with pytest.raises(ValueError, match="line break or control character"):
        write_job(script, ["one"], [], 1, tmp_path / "store\nrm -r x")
    assert not script.exists()
