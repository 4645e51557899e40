"""Reports that are neither tables nor figures that measures draw: recorded gradients, and matched keypoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.reports.finished import FinishedRun
from pipeline.reports.registry import report_named
from pipeline.reports.write import write_report
from pipeline.tracking.metric_log import MetricLog
from pipeline.tracking.state import METRICS_FILE


def run(
    folder: Path,
    name: str,
    metrics: dict[str, float] | None = None,
    params: dict[str, str] | None = None,
) -> FinishedRun:
    cell = folder / "sweep" / name
    cell.mkdir(parents=True)
    known = {"data.name": "drawn_faces", "model.system": "ccvae", "training.epochs": "5", "seed": "0"}
    tags = {"measure.test.feature_matching/1": "measured"} if metrics else {}
    return FinishedRun(
        folder=cell,
        run_id=f"{name}-id",
        params=known | {f"model.{key}": value for key, value in (params or {}).items()},
        metrics={f"test/{key}": value for key, value in (metrics or {}).items()},
        tags=tags,
    )


def record(of: FinishedRun, *points: tuple[int, float, float]) -> None:
    log = MetricLog(of.folder / METRICS_FILE)
    for step, norm, squared in points:
        log.append(
            "train",
            step,
            {"gradient_norm/classifier": norm, "gradient_norm_squared/classifier": squared},
        )
    log.close()


def test_gradient_norms_have_their_deviation_between_steps_without_slow_changes(tmp_path: Path) -> None:
    printed = {"weight_gradient": "as_printed"}
    with_it = run(tmp_path, "with", params=printed | {"reparameterise_classifier": "True"})
    without = run(tmp_path, "without", params=printed | {"reparameterise_classifier": "False"})
    other = run(tmp_path, "other", params=printed | {"weight_gradient": "denominator"})
    # Two steps of norms 1 and 3, then two of 9 and 11: 2 (n - 1) around the mean of each point.
    record(with_it, (2, 2.0, 5.0), (4, 10.0, 101.0))
    record(other, (2, 1.0, 1.0))
    written = write_report(report_named("ccvae-figure8"), [with_it, without, other], tmp_path / "reports")
    assert "| drawn_faces (celeba) | reparameterised | 0 | 5 | 6 | 1.414 | 0.236 |" in written.markdown
    assert "sweep/without was trained before gradient_norm/classifier was recorded" in written.markdown
    assert "other" not in written.markdown
    assert "no run on celeba of: reparameterised, not reparameterised: python launch" in written.markdown
    assert written.runs == 1
    assert {file.name for file in written.files} == {"report.md", "report.csv", "report.png"}
    (_, _, last) = (tmp_path / "reports" / "ccvae-figure8" / "report.csv").read_text().splitlines()
    assert last.endswith(",4,10.0,1.0")


def test_runs_with_a_term_stand_next_to_the_same_runs_without(tmp_path: Path) -> None:
    def made(name: str, seed: str, kept: float, **params: str) -> FinishedRun:
        found = run(tmp_path, name, {"kept": kept, "switched_on": 0.5, "unknown": 1.0}, params)
        found.params.update({"seed": seed, "data.supervision_rate": "1"})
        return found

    with_it = {"consistency_weight": "10", "consistency_after_steps": "150", "style_size": "27"}
    runs = [
        made("without", "0", 0.7, consistency_weight="0", consistency_after_steps="1500", style_size="27"),
        made("strong", "0", 0.9, **with_it),
        made("strong-1", "1", 0.8, **with_it),
        made("weak", "0", 0.75, **with_it | {"consistency_weight": "3"}),
        made("unrelated", "0", 0.1, consistency_weight="0", style_size="5"),
    ]
    log = MetricLog(runs[1].folder / METRICS_FILE)
    for step in (1, 2):
        log.append("epoch", step, {"images_per_second": 100.0 * step})
    log.close()
    newer = {"measure.test.single_interventions": "measured", "measures.versions": "{}"}
    for each in runs:  # today's version is 1, and one run was measured by a later one
        each.tags.clear()
        each.tags.update(newer)
    of_later = made("later", "2", 0.6, **with_it)
    of_later.tags.update(newer | {"measures.versions": '{"test.single_interventions": 2}'})
    written = write_report(report_named("consistency"), [*runs, of_later], tmp_path / "later")
    assert "| weight 10 | 3 | 0.600 (n=1) | 0.500 (n=1) |" in written.markdown
    assert "- single_interventions on test: numbers of 4 runs (ccvae) are of version 1" in written.markdown
    written = write_report(report_named("consistency"), runs, tmp_path / "reports")
    assert "## drawn_faces, ccvae, f = 1, 5 epochs, test" in written.markdown
    rows = [line for line in written.markdown.splitlines() if line.startswith("|")]
    assert rows[0] == "| | n | kept | switched on | images/s |"
    assert rows[2:] == [
        "| without | 1 | 0.700 | 0.500 |  |",
        "| weight 3 | 1 | 0.750 | 0.500 |  |",
        "| weight 10 | 2 | 0.850 ± 0.071 | 0.500 ± 0.000 | 200.0 (n=1) |",
    ]
    assert "unrelated" not in written.markdown
    assert written.runs == 4
    nothing = write_report(report_named("consistency"), [runs[0]], tmp_path / "reports")
    assert "no run on drawn_faces: python launch/sweep.py --recipe consistency (smaller" in nothing.markdown


def test_matchers_have_columns_of_their_own_and_are_compared_by_what_a_change_leaves(tmp_path: Path) -> None:
    numbers = {
        "sift_matches_reconstructed": 20.0,
        "sift_matches_switched": 15.0,
        "sift_confidence_reconstructed": 0.5,
    }
    measured, unmeasured = run(tmp_path, "measured", numbers), run(tmp_path, "unmeasured")
    unmeasured.params["seed"] = "1"
    written = write_report(report_named("ccvae_study-sec4.3"), [measured, unmeasured], tmp_path / "reports")
    text = written.markdown
    assert "| true reconstruction | 8.88 | 20.0 (n=1) | 0.76 | 0.500 (n=1) |" in text
    assert f"| left by the label's change | {7.44 / 8.88:.3g} | 0.750 (n=1) | {0.62 / 0.76:.3g} |  |" in text
    assert "not measured: python launch/measure.py sweep --measures feature_matching" in text
    assert (written.runs, len(written.files)) == (1, 3)


@pytest.mark.parametrize("name", ["ccvae-figure8", "ccvae_study-sec4.3"])
def test_without_runs_there_is_the_command_and_no_picture(name: str, tmp_path: Path) -> None:
    written = write_report(report_named(name), [], tmp_path)
    assert "on celeba" in written.markdown
    assert "python launch/sweep.py --recipe" in written.markdown
    assert (written.runs, len(written.files)) == (0, 2)
