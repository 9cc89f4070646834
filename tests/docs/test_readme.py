"""What README.md and docs/ show is run and gives what is shown; other commands are read as far as their arguments."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from contagion.cli import _overrides, app, main
from contagion.scenario import bundled_scenarios, load_scenario
from contagion.scenario.rules import BUILT_IN

ROOT = Path(__file__).parents[2]
PAGES = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
         for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}  # fmt: skip
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")

spec = importlib.util.spec_from_file_location("run_pages", ROOT / "docs" / "run_pages.py")
run_pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_pages)
RUNNABLE = [name for name, text in PAGES.items()
            if any(block.language in ("python", "console") for block in run_pages.blocks(text))]  # fmt: skip


def code() -> dict[str, str]:
    """Every line of a shell block and every code span -> the page it is on."""
    found = {}
    for name, text in PAGES.items():
        for match in FENCED.finditer(text):
            if match[1] in ("", "sh", "bash", "console"):
                lines = match[2].replace("\\\n", " ").splitlines()
                found |= {line.strip().removeprefix("$ "): name for line in lines}
        found |= dict.fromkeys(SPAN.findall(FENCED.sub("", text)), name)
    return found


COMMANDS = sorted(text for text in code() if re.match(r"contagion \w", text))
TARGETS = sorted({match[1] for text in code() if (match := re.match(r"make ([a-z-]+)", text))})
IMPORTS = sorted(text for text in code() if re.match(r"(from [\w.]+ )?import \w", text))


def test_the_readme_shows_python_commands_and_targets() -> None:
    assert "README.md" in RUNNABLE
    assert "contagion run quickstart --seed 7" in COMMANDS and "contagion scenarios" in COMMANDS
    assert {"demo", "test"} <= set(TARGETS)


@pytest.mark.parametrize("page", RUNNABLE)
def test_a_page_gives_what_it_shows(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for block, real in run_pages.outputs(PAGES[page]):
        assert run_pages.agrees(block.text, real), f"run python docs/run_pages.py {page}; it gives:\n{real}"


def test_an_output_agrees_but_for_spaces_and_what_is_left_out() -> None:
    real = "$ contagion one\nfirst   1\nsecond 2\nthird 3\n"
    assert run_pages.agrees("$ contagion one\nfirst 1\nsecond 2\nthird 3\n", real)
    assert run_pages.agrees("$ contagion one\n...\nthird 3\n", real)
    assert run_pages.agrees("$ contagion one\nfirst 1\n...\n", real)
    wrong_ones = "$ contagion one\nfirst 1\nthird 3\n", "$ contagion one\n...\nthird 4\n", "first 1\n", "...\nird 3\n"
    for wrong in wrong_ones:
        assert not run_pages.agrees(wrong, real)


def test_every_page_is_in_the_contents() -> None:
    trees = "\n".join(re.findall(r"```{toctree}\n(.*?)```", PAGES["docs/index.md"], re.DOTALL)).splitlines()
    written = {name.removeprefix("docs/").removesuffix(".md") for name in PAGES if name.startswith("docs/")}
    assert written - {"index"} == {line for line in trees if line and not line.startswith(":")}


def test_the_reference_has_every_built_in_rule() -> None:
    classes = {target.replace(":", ".") for rules in BUILT_IN.values() for target in rules.values()}
    assert not {name for name in classes if f".. autoclass:: {name}\n" not in PAGES["docs/api.md"]}


@pytest.mark.parametrize("line", IMPORTS)
def test_imports_work(line: str) -> None:
    exec(compile(line, "the page", "exec"), {})


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line, comments=True)
    root = typer.main.get_command(app)
    command = root.commands[name]
    if not arguments or "--help" in arguments:  # a name, not a call
        return
    with command.make_context(name, arguments, parent=root.make_context("contagion", [name])) as context:
        scenario, settings = context.params.get("scenario"), context.params.get("settings")
    if scenario in bundled_scenarios():
        load_scenario(scenario, _overrides(settings))
    elif scenario is not None:  # capitals stand for a name to fill in
        assert re.search(r"\.yaml$|^preset:|^results/", scenario) or scenario.isupper()


@pytest.mark.parametrize("target", TARGETS)
def test_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[page]):
        assert target.startswith("https://") or (ROOT / page).parent.joinpath(target).exists(), target


def test_the_result_on_the_first_screen_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines are shown without notes after ``<-``; a blank line stands for what is left out."""
    shown = next(match[2] for match in FENCED.finditer(PAGES["README.md"]) if "$ contagion run" in match[2])
    command, *lines = [" ".join(line.partition("<-")[0].split()) for line in shown.splitlines()]
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)[2:]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for line in filter(None, lines):
        assert line.removeprefix("Deficits ") in printed
