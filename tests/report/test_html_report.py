"""The HTML report: self-contained, the same every time, and saying what the results say."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from contagion.cli import main
from contagion.errors import InputError
from contagion.experiment.sweeps import sweep
from contagion.report import write_report
from contagion.report.embed import embedded
from contagion.report.page import Page, Section, rendered, written
from contagion.report.run_findings import findings
from contagion.report.style import THEMES
from contagion.report.sweep_findings import findings as sweep_findings
from contagion.report.sweep_page import sweep_page
from contagion.report.sweep_source import sweep_of

VOID = {"meta", "link", "img", "br", "path", "use", "rect"}


class Outline(HTMLParser):
    """Tags, links and what does not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.identities: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        for name, value in attributes:
            if name in ("src", "href", "srcset", "action", "data") and value:
                self.links.append(value)
            if name == "id":
                self.identities.append(str(value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(folder, tmp_path_factory.mktemp("report") / "run.html").read_text(encoding="utf-8")


def test_nothing_outside_the_file_is_asked_for(text: str) -> None:
    outline = Outline(text)
    assert outline.open == []
    assert [link for link in outline.links if not link.startswith(("data:", "#"))] == []
    assert re.findall(r"https?://|@import|url\((?!#)", text) == []


def test_names_inside_figures_do_not_clash(text: str) -> None:
    identities = Outline(text).identities
    assert len(identities) == len(set(identities))
    for target in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text):
        assert "".join(target) in identities


def test_figures_follow_the_theme(text: str) -> None:
    assert Outline(text).counts["figure"] == 7
    assert text.count("var(--ink)") > 50
    assert "prefers-color-scheme:dark" in text and "data-theme=dark" in text and "@media print" in text


def test_numbers_in_figures_are_not_cut(text: str, folder: Path) -> None:
    from contagion.results import load
    from contagion.terminal import amount

    for name in ("perp", "pool"):
        rows = load(folder).ledger
        total = rows.loc[(rows["cause"] == "deficit") & (rows["payer"] == name), "amount"].sum()
        assert f">{amount(total)}</text>" in text


def test_the_same_folder_gives_the_same_bytes(text: str, folder: Path, tmp_path: Path) -> None:
    assert write_report(folder, tmp_path / "again.html").read_text(encoding="utf-8") == text


def test_the_story_is_told_with_its_numbers(run, calm) -> None:
    said = " ".join(findings(run))
    total = run.outcomes["deficit"]
    for layer in ("insurance_fund", "backstop_vault", "auto_deleverage", "depositor_write_down"):
        share = run.outcomes[f"absorbed.{layer}"] / total
        assert f"{layer.replace('_', ' ')} {share:.0%}" in said
    assert "Every deficit was borne in full." in said
    assert f"{run.outcomes['burden_payers']:,.0f} of 200 traders" in said
    assert "nobody had to pay for anybody else" in " ".join(findings(calm))


def test_names_from_outside_cannot_become_markup() -> None:
    bad = "<script>alert(1)</script>"
    table = pd.DataFrame({bad: [bad]})
    page = Page(bad, bad, bad, [(bad, bad)], [bad], [], [Section(bad, bad, table)], [bad], [bad], [(bad, bad)], [bad])
    assert rendered(page).count("<script>") == 1  # the page's own


@pytest.mark.parametrize(
    ("number", "name", "text"),
    [(1234567.0, "amount [USD]", "1.235 m"), (0.256, "share [%]", "25.6%"), (12345.0, "runs", "12,345"),
     (0.123456, "Gini", "0.1235"), (float("nan"), "x", "–"), (-1e-9, "a [USD]", "0.00")],
)  # fmt: skip
def test_numbers_are_written_by_their_unit(number: float, name: str, text: str) -> None:
    assert written(number, name) == text


def test_a_comparison_says_who_is_best_and_how_surely(runs: pd.DataFrame) -> None:
    def many(shift: dict[int, float]) -> list[str]:
        # Twelve seeds, on each of which b costs 3 less in the mean of both worlds, give or take the shift.
        table = pd.concat([runs.assign(seed=runs["seed"] + 3 * k, replication=runs["seed"] + 3 * k) for k in range(4)])
        moved = table["deficit"] + (table["policy"] == "b") * (table["seed"] % 3).map(shift)
        return sweep_findings(sweep_of(table.assign(deficit=moved)))

    said = many({0: -1.0, 1: 0.0, 2: 1.0})
    assert said[0].startswith("“b” has the lowest mean deficit, surely.")
    assert "does not make a policy the better one" in said[0]
    assert "“b” has the lowest mean, USD 149.00 (95% interval" in said[1]
    assert "differs from the next, “a”, by −USD 3.00" in said[1] and "behind the best" in said[1]
    same = sweep_of(runs.assign(deficit=runs["seed"] * 1.0))
    assert sweep_findings(same)[0] == "On the outcomes looked at, the policies differ in no run."
    assert "but not surely before “a”" in many({0: -20.0, 1: 5.0, 2: 18.0})[0]


def test_a_sweep_of_ten_thousand_runs_is_told_of_every_run(runs: pd.DataFrame) -> None:
    many = pd.concat(
        [runs.assign(seed=runs["seed"] + 3 * place, replication=place * 3 + runs["seed"]) for place in range(834)]
    )
    assert sweep_page(many).numbers[0] == ("10,008", "runs")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = {
        "name": "fund_size",
        "question": "Does a larger fund help?",
        "scenario": "quickstart",
        "overrides": {"steps": 22},
        "levers": {"small": {}, "large": {"exchanges.perp.insurance_fund.size": 4e5}},
        "outcomes": ["burden.traders", "deficit"],
        "replications": 3,
    }
    return sweep(plan, tmp_path_factory.mktemp("sweeps") / "fund_size", workers=1).folder


def test_the_command_writes_a_report_of_a_sweep(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(swept)]) == 0
    file = Path(capsys.readouterr().out.strip())
    text = file.read_text(encoding="utf-8")
    assert file == swept / "report.html"
    assert "Does a larger fund help?" in text and "“large” has the lowest mean burden.traders" in text
    assert [link for link in Outline(text).links if not link.startswith(("data:", "#"))] == []


def test_the_command_explains_a_folder_without_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "the folder of a run or of a sweep" in capsys.readouterr().err
    with pytest.raises(InputError, match="out"):
        write_report(pd.DataFrame())


def test_drawing_is_not_loaded_by_the_package_or_its_help() -> None:
    script = (
        "import sys, contagion, contagion.report, contagion.cli; contagion.cli.main(['--help']);"
        "sys.exit(str([name for name in ('matplotlib', 'seaborn', 'pandas') if name in sys.modules] or 0))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or done.stderr.strip() == "0", done.stderr


def test_what_a_figure_says_is_on_the_page_to_the_last_digit_and_coordinates_are_short() -> None:
    from matplotlib.figure import Figure

    def draw(theme: str) -> Figure:
        figure = Figure(figsize=(2, 1))
        figure.text(0.123456789, 0.5, "2.3456 m", color=THEMES[theme]["red"])
        return figure

    drawn = embedded(draw, "one", "a number")
    assert ">2.3456 m</text>" in drawn and "var(--red)" in drawn and "<title>a number</title>" in drawn
    assert re.findall(r"\d\.\d{3}", drawn.replace("2.3456", "")) == []


def test_too_many_marks_become_a_picture_for_each_theme() -> None:
    from matplotlib.figure import Figure

    def draw(theme: str) -> Figure:
        figure = Figure(figsize=(2, 1), facecolor=THEMES[theme]["paper"])
        figure.subplots().scatter(range(5000), range(5000))
        return figure

    drawn = embedded(draw, "many", "many points")
    assert re.findall(r'<img class="in-(\w+)"', drawn) == ["light", "dark"]


def test_a_comparison_names_what_was_compared_who_wins_and_how_to_repeat_it(swept: Path, tmp_path: Path) -> None:
    import yaml

    from contagion.experiment.file import load_experiment

    page = sweep_page(sweep_of(swept))
    policies = next(section.table for section in page.setting if section.title == "The policies")
    assert policies["exchanges.perp.insurance_fund.size"].tolist() == ["50,000", "400,000"]
    assert policies["perp: layers in the order asked"][0].startswith("insurance fund, then backstop vault, then")
    runs = sweep_of(swept).runs
    gained = {policy: rows["gain.funds"].mean() for policy, rows in runs.groupby("policy")}
    assert "Under “large” instead of “small”" in page.findings[1]
    lost = (gained["small"] - gained["large"]) / 1e3
    assert f"insurance funds and reserves (−USD {lost:.4g} thousand" in page.findings[1]
    names = ("traders", "exchanges", "funds", "protocols", "outside")
    net = sum(runs.loc[runs["policy"] == policy, f"gain.{name}"].mean() * sign
              for policy, sign in (("large", 1), ("small", -1)) for name in names)  # fmt: skip
    won = next(section.table for section in page.sections if section.title == "Who wins and who loses")
    assert won.loc[won["agents"] == "sum over all types", "gain [USD]"].item() == pytest.approx(net, rel=1e-6)
    name, text = page.files[0]
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_experiment(tmp_path / name) == load_experiment(yaml.safe_load(text)) == sweep_of(swept).experiment


def test_columns_and_layers_are_split_by_policy_and_one_world_has_no_regret(swept: Path) -> None:
    page, runs = sweep_page(sweep_of(swept)), sweep_of(swept).runs
    parts = {section.title: section.table for section in page.sections}
    layers = parts["Who bears deficits under each policy"].set_index("layer")
    small = runs[runs["policy"] == "small"]
    assert layers.loc["insurance fund", "small [USD]"] == pytest.approx(small["absorbed.insurance_fund"].mean())
    assert layers.iloc[:-1].sum().tolist() == pytest.approx(layers.loc["all deficits"].tolist())
    assert "mean, small" in parts["All columns"] and "seed" not in parts["All columns"]["column"].tolist()
    assert not any("regret" in column for table in parts.values() for column in map(str, table))
    assert [words for _, words in page.numbers] == ["runs", "policies", "seeds, derived from master seed 0"]


def test_a_run_says_how_near_it_is_to_what_was_observed(run) -> None:
    from dataclasses import replace

    from contagion.report.run_facts import fact_section, verdict

    facts = pd.DataFrame(
        {"name": ["inside", "far", "none", "given"], "observed": [100.0, 100.0, 0.0, 1.0],
         "simulated": [140.0, 40.0, 0.0, float("nan")], "unit": "USD", "role": ["check", "check", "check", "input"],
         "source": "s"}
    )  # fmt: skip
    told = replace(run, facts=facts)
    said = verdict(told)  # 140 / 100 is within 1.5, 40 / 100 is not, and 0 of 0 is met
    assert "within a factor of 1.5 of the observed value on 2 of 3 checks; furthest from it are far (0.4 times)" in said
    assert fact_section(told)[0].table["in the run over observed"].tolist()[:3] == [1.4, 0.4, 1.0]
    assert "calibrated" not in said
    limits = {**run.manifest, "scenario": {**run.manifest["scenario"], "limits": "The first is calibrated."}}
    assert "Not all checks are predictions" in verdict(replace(told, manifest=limits))


def test_a_run_tells_of_auctions_winners_and_every_part_of_the_loss(run) -> None:
    from dataclasses import replace

    counted = {"auction_sales": 10.0, "auctions_at_zero": 4.0, "auctioned_collateral": 2e6, "collateral_at_zero": 5e5,
               "auction_bids": 12.0}  # fmt: skip
    parts = {f"system_loss.{name}": 0.0 for name in ("price", "claims", "socialised", "execution", "fees", "credit",
                                                     "runs", "other")}  # fmt: skip
    parts |= {"system_loss": 200.0, "system_loss.price": 210.0, "system_loss.other": -10.0}
    said = " ".join(findings(replace(run, outcomes={**run.outcomes, **counted, **parts})))
    assert "10 lots of collateral worth USD 2.000 million were sold in auctions, which took 12 bids" in said
    assert "4 of them went for less than 1% of the market price, collateral worth USD 500.0 thousand" in said
    assert "prices 105% and theft, interventions and tokens sold in debt auctions −5%" in said
    agents = run.agents
    assert f"with a gain of USD {agents['change'].max() / 1e3:.4g} thousand" in said


def test_captions_speak_of_what_is_drawn_and_nothing_is_drawn_of_nothing(run, calm) -> None:
    from contagion.report.figures.price_and_liquidations import caption, marks_apart, price_and_liquidations
    from contagion.report.run_page import run_page

    dashed = [line for line in price_and_liquidations(run).axes[0].get_lines() if line.get_linestyle() == "--"]
    assert len(dashed) - 1 == len(marks_apart(run)) > 0  # and one for the legend
    assert "dashed lines" in caption(run)
    assert "dashed lines" not in caption(calm) or marks_apart(calm)
    assert "burden" in [drawing.name for drawing in run_page(run).drawings]
    assert "burden" not in [drawing.name for drawing in run_page(calm).drawings]


def test_venues_share_one_scale(run) -> None:
    from contagion.report import waterfall

    panels = waterfall(run).axes
    assert len(panels) == 2 and panels[0].get_xlim() == panels[1].get_xlim()


@pytest.mark.parametrize(
    ("value", "text"),
    [(18_213_361.0, "USD 18.21 million"), (-155_900.0, "−USD 155.9 thousand"), (12.5, "USD 12.50"), (0.0, "USD 0.00"),
     (1.9e9, "USD 1.900 billion"), (999_990.0, "USD 1.000 million")],
)  # fmt: skip
def test_amounts_are_said_in_words(value: float, text: str) -> None:
    from contagion.report.words import usd

    assert usd(value) == text
