"""The command that made a run, as a report shows it."""

from bench.plugin.hooks import command_of


def test_the_command_can_be_typed_again_and_has_no_password() -> None:
    arguments = ["-m", "code_hypothesis or control", "--boxes-dataset-password=correct-horse"]
    assert command_of(arguments, "correct-horse") == (
        "pytest -m 'code_hypothesis or control' --boxes-dataset-password=***"
    )
