"""Everything that README and docs tell people to run is run, in the order of the pages."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from sensenet.formats.tfjs.node import has_node
from sensenet.formats.tfjs.runtime import find_runtime

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = (
    *("README.md", "docs/tables.md", "docs/training.md", "docs/formats.md", "docs/sensenet.md"),
    *("docs/reading-tables.md", "docs/fitting.md", "docs/czmodel.md", "docs/exports.md"),
    *("docs/tensorflow-js.md", "docs/dataset-formats.md"),
)
LINKING_PAGES = (
    *PAGES,
    *("docs/architecture.md", "docs/augmentations.md", "docs/generation.md"),
    *("docs/scaling.md", "docs/security.md", "docs/training-images.md", "docs/datasets.md"),
    "CHANGELOG.md",
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
NAMED_SECTION = re.compile(r'(docs/[\w-]+\.md)(?:,\s+"([^"]+)")?')
NEEDS_NODE = re.compile(r"^node |--page")
RUN_BY_OTHER_TESTS = ("bin/demo", "bin/install", "bin/test")


def blocks(page: str) -> list[tuple[str, str, str]]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def run(command: list[str], directory: Path, text: str | None = None) -> str:
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    if has_node():
        environment["NODE_PATH"] = str(find_runtime().parents[3])
    done = subprocess.run(
        command, cwd=directory, input=text, capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_examples_of_the_pages_run_from_top_to_bottom(tmp_path):
    printed = ""
    shutil.copy(ROOT / "bin" / "penguins.csv", tmp_path)
    for page in PAGES:
        script, waiting = [], False
        for language, title, body in [*blocks(page), ("end", "", "")]:
            if language == "python":
                script.append(body)
                waiting = True
            elif waiting and language in ("console", "end"):
                # one program a page, begun anew where commands stand between its parts
                printed += run([sys.executable, "-"], tmp_path, "\n".join(script))
                waiting = False
            if language in ("json", "javascript"):
                (tmp_path / title).write_text(body)
            elif language == "console":
                for line in body.splitlines():
                    command = line.removeprefix("$ ").split("#")[0].strip()
                    if NEEDS_NODE.search(command) and not has_node():
                        continue
                    if line.startswith("$ ") and not command.startswith(RUN_BY_OTHER_TESTS):
                        printed += run(["bash", "-c", command], tmp_path)
    assert printed.count("pyramid job complete") == 6
    assert '"error"' not in printed
    assert "['setosa', 'versicolor', 'virginica']" in printed
    assert "a scan of 7" in printed
    assert "(1, 1024) (2, 1024)" in printed
    assert "['FEMALE', 'MALE']" in printed or "('FEMALE', 'MALE')" in printed
    assert "a mass in grams: [[" in printed
    assert not has_node() or re.search(r"^Node says (FE)?MALE [01]", printed, re.MULTILINE)
    assert '"agrees":true' in printed
    assert '"agrees":false' not in printed
    assert "LiteRT reads 7" in printed
    assert re.search("ONNX Runtime says (FEMALE|MALE)", printed)
    assert "a SavedModel reads 7" in printed
    assert "boxes in a frozen graph" in printed
    assert "10 images, 10 boxes: boxed/again/rows.json" in printed
    assert "2 classes: boxed/classes.json" in printed


def headings(page: Path) -> list[str]:
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    return HEADING.findall(prose)


def anchor(heading: str) -> str:
    """Of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", LINKING_PAGES)
def test_no_link_leads_nowhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target, section in LINK.findall(text):
        if not target.startswith("http"):
            path = (ROOT / page).parent / target if target else ROOT / page
            assert path.exists(), target
            assert not section or section in map(anchor, headings(path)), f"{target}#{section}"


def test_the_pages_and_sections_that_docstrings_name_are_there():
    named = [
        (path, *found)
        for path in sorted((ROOT / "pyramid").rglob("*.py"))
        for found in NAMED_SECTION.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(named) > 10
    for path, page, section in named:
        assert (ROOT / page).exists(), (path, page)
        assert not section or any(one.startswith(section) for one in headings(ROOT / page)), (path, section)


@pytest.mark.parametrize(("page", "least"), [("docs/security.md", 10), ("docs/architecture.md", 10)])
def test_the_tests_that_a_page_names_are_there(page, least):
    named = NAMED_TEST.findall((ROOT / page).read_text(encoding="utf-8"))
    assert len(named) > least
    for path, name in named:
        assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), (path, name)
        assert (ROOT / path).exists(), path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_runs_as_a_newcomer_would(tmp_path):
    """bin/demo with a virtualenv of its own: so bin/install, too, is run for real."""
    environment = os.environ | {"PYRAMID_VENV": str(tmp_path / "venv")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [ROOT / "bin" / "demo", tmp_path / "results"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'export WINTERMUTE_PYRAMID_PATH="{tmp_path}/venv/bin/pyramid"' in done.stdout
    assert not re.search("oneDNN|absl::|cuda|cpu_feature_guard|retracing|Warning", done.stderr), done.stderr
    assert "pyramid progress" not in done.stdout
    assert "Gentoo" in done.stdout or "Adelie" in done.stdout
    assert float(re.search(r"on the test rows: accuracy ([\d.]+)", done.stdout)[1]) > 0.8
    jobs = [line for line in done.stdout.splitlines() if " done in " in line]
    assert len(jobs) == 3 * 3 + 2 * 2
    for title in ("breast_cancer", "wine", "diabetes"):
        assert (tmp_path / "results" / title / "final_model.json").exists()
    compared = re.findall(
        r" \d+  (accuracy|r_squared) +(\S+) +(\S+)  (?:logistic|linear) regression", done.stdout
    )
    accuracies = [float(ours) for metric, ours, _ in compared if metric == "accuracy"]
    assert len(accuracies) == 4
    assert min(accuracies) > 0.9
    assert min(accuracies[2:]) > 0.97, "the scans"
    assert [float(ours) > 0.3 for metric, ours, _ in compared if metric == "r_squared"] == [True]
    assert all(float(rival) > 0.3 for *_, rival in compared)
    assert done.stdout.count("the truth:") == 5
    assert done.stdout.count("importances:") == 3
    for network in ("simple", "simple_residual"):
        page = tmp_path / "results" / "digits" / network / "report.html"
        assert page.exists()
        assert str(page) in done.stdout
    assert float(re.search(r"^mAP_50 +(\S+)$", done.stdout, re.MULTILINE)[1]) > 0.2
    assert Path(done.stdout.splitlines()[-1].strip()).suffix == ".png"
    assert Path(done.stdout.splitlines()[-1].strip()).exists()
    # again, as if there were no network
    (modules(tmp_path / "venv") / "pip" / "__main__.py").write_text("raise SystemExit(7)")
    again = subprocess.run([ROOT / "bin" / "demo", "--help"], capture_output=True, text=True, env=environment)
    assert again.returncode == 0, again.stderr
    assert "is current" in again.stdout
    assert "--protocol" in again.stdout


PLAYED = """#!/bin/sh
echo "pyramid process ready - version 1"
read path
echo 'pyramid progress - {"job_id":"m","progress":0.5,"accuracy":0.75}'
echo 'pyramid job complete - {"job_id":"m","job_time":2.0}'
read terminate
"""


def played(directory, shows_protocol):
    """Run a job of the demo with a worker that answers at once."""
    worker = directory / "worker"
    worker.write_text(PLAYED)
    worker.chmod(0o755)
    demo = importlib.import_module("demo_worker")
    with demo.Worker(str(worker), shows_protocol) as running:
        running.run("wine", {"job_type": "standard_training", "output_directory": str(directory)})


@pytest.mark.parametrize(("is_terminal", "n_updates"), [(True, 3), (False, 0)])
def test_a_job_of_the_demo_is_one_line(tmp_path, monkeypatch, capsys, is_terminal, n_updates):
    monkeypatch.syspath_prepend(str(ROOT / "bin"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    played(tmp_path, shows_protocol=False)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    last = out.split("\r")[-1]
    assert last.rstrip() == f"{'wine':24} standard_training  done in   2.0 s  accuracy 0.750"
    assert out.count("\r") == n_updates
    assert ("50%  accuracy 0.750" in out) == is_terminal


def test_the_demo_shows_the_protocol_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "bin"))
    played(tmp_path, shows_protocol=True)
    assert capsys.readouterr().out.splitlines() == [
        "pyramid process ready - version 1",
        f"> {tmp_path}/standard_training.json",
        'pyramid progress - {"job_id":"m","progress":0.5,"accuracy":0.75}',
        'pyramid job complete - {"job_id":"m","job_time":2.0}',
        "> terminate",
    ]


@pytest.fixture
def checkout(tmp_path):
    """A copy of what is installed, and a virtualenv that sees our dependencies: (its bin/install, the virtualenv)."""
    source, venv = tmp_path / "source", tmp_path / "venv"
    for name in ("bin", "pyramid", "sensenet"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    (modules(venv) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return source / "bin" / "install", venv


def modules(venv):
    return venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def install(script, venv):
    environment = os.environ | {"PYRAMID_VENV": str(venv)}
    environment.pop("PYTHONPATH", None)
    return subprocess.run([script], capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_installing_again_upgrades_what_changed_and_needs_no_pip_where_nothing_did(checkout):
    script, venv = checkout
    gone, installed = script.parents[1] / "pyramid" / "gone.py", modules(venv) / "pyramid"
    gone.write_text("")
    done = install(script, venv)
    assert done.returncode == 0, done.stderr
    assert (installed / "gone.py").exists()
    gone.unlink()
    (script.parents[1] / "sensenet" / "come.py").write_text("")
    done = install(script, venv)
    assert done.returncode == 0, done.stderr
    assert "Installing" in done.stdout
    assert not (installed / "gone.py").exists()
    assert (modules(venv) / "sensenet" / "come.py").exists()
    (modules(venv) / "pip" / "__main__.py").write_text("raise SystemExit(7)")
    done = install(script, venv)
    assert done.returncode == 0, done.stderr
    assert "is current" in done.stdout
    assert f'export WINTERMUTE_PYRAMID_PATH="{venv}/bin/pyramid"' in done.stdout
    with (script.parents[1] / "setup.py").open("a") as setup:
        setup.write("# another dependency, say")
    for _ in range(2):  # one that failed is tried again
        assert install(script, venv).returncode == 7


def test_install_takes_no_arguments():
    done = subprocess.run([ROOT / "bin" / "install", "now"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "takes no arguments" in done.stderr


def test_an_old_python_is_refused_with_what_is_needed(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    bash = shutil.which("bash")
    done = subprocess.run(
        [bash, ROOT / "bin" / "find_python"], capture_output=True, text=True, env={"PATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
