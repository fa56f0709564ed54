"""The plugin in the real QGIS window: it loads, shows itself, and leaves QGIS as it was.

The launcher and the driver are tried first, with a tiny plugin and scripts written here.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from desktop.launch import Outcome, launch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

pytestmark = [
    pytest.mark.qgis,
    pytest.mark.skipif(not Path("/usr/bin/qgis").exists(), reason="no QGIS window installed"),
]

TIDY = """
            iface.removePluginWebMenu("Tile Cache Manager", self.action)
            self.action.deleteLater()
"""
PLUGIN = """
def classFactory(iface):
    from qgis.PyQt.QtWidgets import QAction
    class Plugin:
        def initGui(self):
            self.action = QAction("Try", iface.mainWindow())
            iface.addPluginToWebMenu("Tile Cache Manager", self.action)
        def unload(self):{unload}
    return Plugin()
"""


def visit(script: Path, folder: Path, **options: object) -> Outcome:
    """Run a script in the window; its lines go into the test's own output."""
    options.setdefault("timeout_seconds", 180)
    return launch(script, folder / "desktop", screen="virtual", **options)


@pytest.fixture
def tiny_plugin(tmp_path: Path) -> Path:
    """A plugin that adds one menu entry and takes it away again."""
    return write_plugin(tmp_path / "plugin", TIDY)


def write_plugin(folder: Path, unload: str) -> Path:
    folder.mkdir()
    (folder / "__init__.py").write_text(PLUGIN.format(unload=unload))
    (folder / "metadata.txt").write_text(
        "[general]\nname=Tiny\nversion=1\nqgisMinimumVersion=3.22\ndescription=d\nauthor=a\n"
    )
    return folder


def write_script(folder: Path, body: str) -> Path:
    """A script whose `steps` are the lines of `body`."""
    path = folder / "script.py"
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    path.write_text(
        "import os, time\n"
        "from qgis.PyQt.QtCore import Qt, QTimer\n"
        "from qgis.PyQt.QtWidgets import QInputDialog, QLineEdit, QPushButton\n"
        f"def steps(desktop):\n{lines}    yield desktop.until(lambda: True, 1, 'the end')\n"
    )
    return path


MODAL = """
desktop.answer = None
button = QPushButton("Ask", objectName="ask_button")
button.clicked.connect(lambda: setattr(desktop, "answer", QInputDialog.getText(None, "A", "B")))
button.show()
yield desktop.click(desktop.find(QPushButton, "ask_button"))
yield desktop.until(lambda: desktop.dialog(QInputDialog), 5, "the question")
dialog = desktop.dialog(QInputDialog)
yield desktop.type_text(dialog.findChild(QLineEdit), "typed")
yield desktop.press(dialog, Qt.Key.Key_Return)
yield desktop.until(lambda: desktop.answer, 5, "the answer")
desktop.say(str(desktop.answer))
"""


def test_a_script_goes_on_inside_a_modal_dialog(tmp_path: Path, tiny_plugin: Path) -> None:
    outcome = visit(write_script(tmp_path, MODAL), tmp_path, plugin=tiny_plugin)

    assert outcome.exit_code == 0
    assert outcome.said == ["('typed', True)"]


def test_the_heartbeat_notes_a_blocked_main_thread(tmp_path: Path, tiny_plugin: Path) -> None:
    script = write_script(
        tmp_path,
        """
yield desktop.until(lambda: True, 1, "the window")
desktop.heartbeat.restart()
QTimer.singleShot(0, lambda: time.sleep(0.4))
end = time.monotonic() + 0.6
yield desktop.until(lambda: time.monotonic() > end, 5, "the pause")
desktop.say(str(desktop.heartbeat.longest_gap_seconds))
""",
    )

    outcome = visit(script, tmp_path, plugin=tiny_plugin)

    assert 0.39 < float(outcome.said[0]) < 0.8


@pytest.mark.parametrize(
    ("body", "exit_code", "said"),
    [
        ("desktop.find(QPushButton, 'nobody')", 1, "LookupError: 0 widgets are a QPushButton"),
        ("yield desktop.until(lambda: False, 0.2, 'rain')", 1, "in vain for rain"),
        ("yield desktop.until(lambda: False, 99, 'rain')", 124, "time-out after 8 s"),
        ("os._exit(3)", 1, "QGIS ended before its script did"),
    ],
)
def test_a_script_that_fails(
    tmp_path: Path,
    tiny_plugin: Path,
    capsys: pytest.CaptureFixture[str],
    body: str,
    exit_code: int,
    said: str,
) -> None:
    script = write_script(tmp_path, body)

    started = time.monotonic()
    outcome = visit(script, tmp_path, plugin=tiny_plugin, timeout_seconds=8)

    assert outcome.exit_code == exit_code
    assert said in capsys.readouterr().out
    assert time.monotonic() - started < 30
    assert processes_using(tmp_path) == []


def processes_using(folder: Path) -> list[str]:
    """Command lines of running processes that name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if str(folder) in command and process.name != str(os.getpid()):
            found.append(command.replace("\0", " "))
    return found


@pytest.mark.parametrize(("unload", "tidy"), [(TIDY, True), (" pass", False)])
def test_traces_are_seen(tmp_path: Path, unload: str, tidy: bool) -> None:
    plugin = write_plugin(tmp_path / "plugin", unload)

    outcome = visit(HERE / "leave.py", tmp_path, plugin=plugin, plugin_enabled=False)

    assert outcome.exit_code == 0
    assert ("left 2: []" in outcome.said) == tidy


def test_the_plugin_loads_with_qgis(tmp_path: Path) -> None:
    outcome = visit(HERE / "visit.py", tmp_path)

    assert outcome.exit_code == 0
    assert "loaded: True" in outcome.said
    assert "provider: True" in outcome.said
    assert "actions: 0" not in outcome.said
    assert "actions without icon or name: []" in outcome.said
    assert "Python messages: []" in outcome.said


def test_unloading_leaves_qgis_as_it_was(tmp_path: Path) -> None:
    outcome = visit(HERE / "leave.py", tmp_path, plugin_enabled=False)

    assert outcome.exit_code == 0
    assert outcome.said == [
        *("started 1: True", "areas 1: 10, drawings 2"),
        *("exports 1: of 2 kinds", "changed 1: True"),
        *("unloaded 1: True", "left 1: []"),
        *("started 2: True", "areas 2: 10, drawings 2"),
        *("exports 2: of 2 kinds", "changed 2: True"),
        *("unloaded 2: True", "left 2: []"),
        "Python messages: []",
    ]
