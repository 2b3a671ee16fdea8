"""What all steps of `pyramid_dataset` do alike."""

from __future__ import annotations

import json

import pytest

from pyramid.commands.dataset import SUBCOMMANDS, main, subcommand


@pytest.mark.parametrize("step", SUBCOMMANDS)
def test_every_step_says_what_it_takes(step, capsys):
    assert subcommand(step).name == step
    with pytest.raises(SystemExit) as ended:
        main([step, "--help"])
    assert ended.value.code == 0
    assert f"pyramid_dataset {step}" in capsys.readouterr().out


def test_help_lists_every_step(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert {line.split()[0] for line in shown.splitlines() if line.strip()} >= set(SUBCOMMANDS)


@pytest.mark.parametrize("step", SUBCOMMANDS)
def test_every_step_needs_its_arguments(step, capsys):
    with pytest.raises(SystemExit) as ended:
        main([step])
    assert ended.value.code == 2
    assert "required" in capsys.readouterr().err


def test_a_traceback_is_shown_with_debug_before_and_behind_the_step(tmp_path, capsys):
    (tmp_path / "index.json").write_text(json.dumps({}))
    command = ["download", str(tmp_path / "index.json"), str(tmp_path / "pictures")]
    for arguments in (["--debug", *command], [*command, "--debug"]):
        assert main(arguments) == 1
        assert "Traceback" in capsys.readouterr().err
    assert main(command) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["download", "a", "b", "--jobs", "0"], "a whole number from 1 to 512, got '0'"),
        (["download", "a", "b", "--timeout", "nan"], "a number from 0.05 to 3600, got 'nan'"),
        (["points", "--without", "group-of,blurred"], "got 'blurred'"),
        (["points", "--min-confidence", "2"], "a number from 0 to 1, got '2'"),
    ],
)
def test_a_wrong_argument_is_told_with_what_would_be_right(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
