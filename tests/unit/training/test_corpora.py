"""The training text of the embedded models: reproducible, true, and without evaluation examples."""

import hashlib
import re
from random import Random

import pytest

from bench.task.examples import evaluation_set
from bench.task.prompts import PROTOCOLS
from bench.training.arithmetic import sums, word_problems
from bench.training.arms import ARMS
from bench.training.corpora import NAMES
from bench.training.data import batches, held_out, rows, state_digests
from bench.training.dialogues import TEMPLATE, asked, dialogue
from bench.training.mixtures import MIXTURES, draw
from bench.training.programs import (
    OTHER_NAME,
    VERBS,
    asked_program_prompts,
    asked_programs,
    box_programs,
    counter_programs,
    renamed,
    small_asked_programs,
    small_box_programs,
    unframed,
)
from bench.training.tokenizer import Encoder, train_tokenizer

OPERATION = re.compile(r"\b(put|move|remove) the [a-z ]+(into|from) box \d")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(0)


def texts(mixture, number=200, seed=0):
    rng = Random(seed)
    return ["".join(text for text, _ in draw(mixture, rng, count / number)) for count in range(number)]


@pytest.mark.parametrize("mixture", MIXTURES)
def test_a_seed_gives_the_same_documents(mixture):
    assert texts(mixture) == texts(mixture)
    assert texts(mixture) != texts(mixture, seed=1)


def test_the_committed_models_read_what_this_code_makes(tokenizer):
    """A change of these digests changes the training of the committed weights. Train them again."""
    digests = {}
    for name, arm in ARMS.items():
        _, input_ids, weights = next(batches(arm, 0, Encoder(tokenizer), frozenset(), start=arm.steps - 1))
        read = hashlib.sha256(input_ids.numpy().tobytes() + weights.numpy().tobytes())
        digests[name] = read.hexdigest()[:12]
    assert digests == {
        "base": "804e74f2053a",
        "tracking": "d1e2ff9ba9a6",
        "code": "33c6eacfba4e",
        "code-names": "2c8c02d059e9",
        "code-frame": "429b5a311d3f",
        "math": "caae4d9aafcd",
        "chat": "f58f24dbc476",
        "text": "66fe35551949",
    }


def test_pieces_are_encoded_as_whole_texts_are(tokenizer):
    encode = Encoder(tokenizer)
    for mixture in MIXTURES:
        for text in texts(mixture, number=20):
            assert encode(text) == tokenizer(text).input_ids
            assert tokenizer.decode(encode(text)) == text


def test_every_object_name_is_one_token(tokenizer):
    assert all(len(tokenizer(f" {name}").input_ids) == 1 for name in NAMES)


@pytest.mark.parametrize("arm", [name for name in ARMS if name != "tracking"])
def test_only_tracking_reads_operations(arm):
    """None of the task's sentences, whatever the case and the punctuation within them."""
    for stage in ARMS[arm].stages:
        assert not any(states_operation(text) for text in texts(stage.mixture, number=2000))
    assert any(states_operation(text) for text in texts("tracked"))


def states_operation(text):
    return OPERATION.search(" ".join(re.findall(r"\w+", text.lower())))


@pytest.mark.parametrize("progress", [0.1, 0.9])
def test_sums_are_worked_out_right(progress):
    rng = Random(0)
    for _ in range(100):
        for line in "".join(text for text, _ in sums(rng, progress)).splitlines():
            first, *others = line.split("=")
            assert {eval(other) for other in others} == {eval(first)}
            assert re.fullmatch(r" -?\d+ ?", others[-1])


@pytest.mark.parametrize("progress", [0.1, 0.9])
def test_word_problems_have_right_answers(progress):
    """A second implementation, on text alone."""
    rng = Random(0)
    for _ in range(100):
        text = "".join(text for text, _ in word_problems(rng, progress))
        coins = {person: int(number) for person, number in re.findall(r"(?<!Now )\b(\w+) has (\d+)", text)}
        for person, verb, other, number in re.findall(r"(\w+) (gets|loses|gives) (\w+ )??(\d+) coins", text):
            coins[person] += int(number) if verb == "gets" else -int(number)
            if other:
                coins[other.strip()] += int(number)
        answers = re.findall(r"How many coins has (\w+)\? (\d+)|Now (\w+) has (\d+)", text)
        assert answers
        assert min(coins.values()) >= 0
        for person, number, other, other_number in answers:
            assert coins[person or other] == int(number or other_number)


def test_dialogues_are_written_as_the_chat_template_writes_turns(tokenizer):
    said = [("What is in Box 1?", "Box 1 contains the map."), ("Thanks.", "Sure.")]
    messages = [{"role": "system", "content": PROTOCOLS["paper"].instruction}]
    for question, answer in said:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    written = "".join(text for text, _ in dialogue([asked(*pair) for pair in said], system=True))
    assert tokenizer.apply_chat_template(messages, chat_template=TEMPLATE, tokenize=False) == written + "\n\n"
    prompt = tokenizer.apply_chat_template(
        messages[:-1], chat_template=TEMPLATE, tokenize=False, add_generation_prompt=True
    )
    assert prompt + "Sure." == written


def test_a_held_out_state_is_not_read(tokenizer):
    stage, encode = ARMS["base"].stages[0], Encoder(tokenizer)
    first = tokenizer.decode(next(rows(stage, Random(0), 0.0, encode, frozenset()))[0])
    excluded = state_digests(first)
    source = rows(stage, Random(0), 0.0, encode, excluded)
    assert excluded
    assert all(excluded.isdisjoint(state_digests(tokenizer.decode(next(source)[0]))) for _ in range(20))


def test_the_states_of_the_evaluation_set_are_held_out():
    digests = held_out()
    for example in evaluation_set()[::100]:
        opening = example.description[: example.description.index(".") + 1]
        assert hashlib.sha256(opening.encode()).hexdigest() in digests


@pytest.mark.parametrize("mixture", ["small tracked", "tracked", "tracked prompts"])
def test_reports_and_statements_follow_from_descriptions(mixture):
    """A second implementation of the task, on text alone."""
    for text in texts(mixture):
        pairs = re.findall(r"Description: (.*?)\n?Statement: (.*)", text)
        assert pairs
        for description, statement in pairs:
            opening, *sentences = description.rstrip(".").split(". ")
            boxes = boxes_in(opening)
            for sentence in sentences:
                assert boxes_in(sentence).items() <= boxes.items()  # a report
                if source := re.search(r"from Box (\d)", sentence):
                    boxes[int(source[1])] -= objects_in(sentence)
                if target := re.search(r"to Box (\d)", sentence):
                    boxes[int(target[1])] |= objects_in(sentence)
            assert boxes_in(statement) == boxes


def objects_in(text):
    return set(re.findall(r"the ([a-z]+)", text))


def test_programs_print_what_their_statements_lead_to():
    """A second implementation, on text alone, whatever the syntax."""
    rng = Random(0)
    for progress in [0.1, 0.5, 0.9] * 30:
        boxes, printed = {}, 0
        for line in "".join(text for text, _ in box_programs(rng, progress)).splitlines():
            if shown := re.fullmatch(r" print\( box(?:es|\[ (\d)\])\)#(.*)", line):
                asked = boxes.values() if shown[1] is None else [boxes[int(shown[1])]]
                assert objects_in_comment(shown[2]) == list(asked)
                printed += 1
            elif filled := re.fullmatch(r" box\[ (\d)\]={(.*)}", line):
                boxes[int(filled[1])] = set(re.findall(r"\w+", filled[2]))
            elif "read(" in line:
                boxes = boxes_in(line)
            else:
                obey(line, boxes)
        assert printed


@pytest.mark.parametrize("corpus", [small_asked_programs, asked_programs, asked_program_prompts])
def test_programs_that_are_asked_about_have_right_answers(corpus):
    rng = Random(0)
    verbs = "|".join(verb.strip() for words in VERBS.values() for verb in words)
    for progress in [0.1, 0.5, 0.9] * 30:
        text = "".join(text for text, _ in corpus(rng, progress))
        pairs = re.findall(r"Description: (.*?)\n?Statement: ([^\n]*)", text, re.DOTALL)
        assert pairs
        for program, statement in pairs:
            boxes = boxes_in(program) or {
                int(box): set(re.findall(r"\w+", named))
                for box, named in re.findall(r"box\[ (\d)\]={(.*?)}", program)
            }
            for line in re.findall(rf" (?:{verbs})\b.*?(?= (?:{verbs})\b|$)", program, re.DOTALL):
                obey(line, boxes)
            assert boxes_in(statement) == boxes


def obey(statement, boxes):
    """Apply a statement to the boxes."""
    names = set(re.findall(r"\w+", statement)) & set(NAMES)
    place = r" (?:[Bb]ox ?\[? ?)?(\d)"
    source = re.search(rf" (?:from_=|from|source=|out=|-){place}", statement)
    target = re.search(rf" (?:into=|into|in|to=|to|target=|\+|->){place}", statement)
    assert names
    assert source or target
    if source:
        boxes[int(source[1])] -= names
    if target:
        boxes[int(target[1])] |= names


def boxes_in(sentence):
    return {int(box): objects_in(named) for box, named in re.findall(r"Box (\d) contains ([^,.]*)", sentence)}


def objects_in_comment(comment):
    if "contains" not in comment:
        return [set(comment.replace("None", "").replace(",", " ").split())]
    return [objects_in(clause) for clause in re.findall(r"contains ([^,.]*)", comment)]


PROGRAMS = [
    asked_program_prompts, asked_programs, box_programs, counter_programs, small_asked_programs,
    small_box_programs,
]  # fmt: skip


def pieces_before_and_after(corpus, change):
    """The texts of the same documents without and with a change."""
    for seed in range(50):
        yield tuple([text for text, _ in made(Random(seed), 0.9)] for made in (corpus, change(corpus)))


@pytest.mark.parametrize("corpus", PROGRAMS)
def test_renamed_programs_differ_only_in_object_names(corpus, tokenizer):
    back = {other: name for name, other in OTHER_NAME.items()}
    for before, after in pieces_before_and_after(corpus, renamed):
        words = set(re.findall(r"\w+", "\n".join(after)))
        assert words.isdisjoint(NAMES) and not words.isdisjoint(back)
        assert [re.sub(r"\w+", lambda found: back.get(found[0], found[0]), text) for text in after] == before
        assert len(tokenizer("".join(after)).input_ids) == len(tokenizer("".join(before)).input_ids)


@pytest.mark.parametrize("corpus", PROGRAMS)
def test_unframed_programs_have_no_label_and_no_instruction(corpus):
    for before, after in pieces_before_and_after(corpus, unframed):
        text = "".join(before).replace(PROTOCOLS["paper"].instruction + "\n\n", "")
        plain = text.replace("Description:", "").replace("Statement:", " print( boxes)#")
        assert "".join(after) == plain
        assert not re.search("Description|[Ss]tatement", plain)


@pytest.mark.parametrize("change", ["renamed", "unframed"])
def test_text_of_the_base_among_changed_programs_stays(change):
    for name in ("small programs", "programs", "programs and prompts"):
        for (share, source), (same_share, changed) in zip(
            MIXTURES[name], MIXTURES[f"{change} {name}"], strict=True
        ):
            assert share == same_share
            assert (changed is source) == (source not in PROGRAMS)
