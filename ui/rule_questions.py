"""What is asked and told while rules of areas by scale are loaded, saved and replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFileDialog, QMessageBox, QWidget

from ..plugin.host import messages
from ..plugin.host.settings import Settings
from .run_question import WarningQuestion

ENDING = "json"


def ask_path_to_load(window: QWidget, answer: Callable[[Path], None]) -> None:
    """Ask for a file of rules, and call `answer` with it, if there is one."""
    question = _path_question(messages.tr("Load Rules"), window, answer)
    question.setFileMode(QFileDialog.FileMode.ExistingFile)
    question.open()


def ask_path_to_save(window: QWidget, answer: Callable[[Path], None]) -> None:
    """Ask where rules are to be saved, and call `answer` with the file, if there is one."""
    question = _path_question(messages.tr("Save Rules"), window, answer)
    question.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    question.setDefaultSuffix(ENDING)
    question.open()


def _path_question(title: str, window: QWidget, answer: Callable[[Path], None]) -> QFileDialog:
    """A file dialog that begins where the last path was chosen, and is still to be opened."""
    question = QFileDialog(window, title, Settings().last_folder)
    question.setObjectName("rules_path_question")
    kinds = messages.tr("Rules of areas by scale"), messages.tr("All files")
    question.setNameFilter(f"{kinds[0]} (*.{ENDING});;{kinds[1]} (*)")

    def chosen(text: str) -> None:
        if text:
            Settings().last_folder = str(Path(text).parent)
            answer(Path(text))

    question.fileSelected.connect(chosen)
    question.finished.connect(question.deleteLater)
    return question


def ask_to_replace(count: int, window: QWidget, replace: Callable[[], None]) -> None:
    """Ask whether `count` rules, which are saved nowhere, may go; then call `replace`."""
    question = WarningQuestion(messages.tr("Replace Rules"), window)
    question.setObjectName("replace_question")
    text = messages.tr("Replace the {count} rules that are there?")
    if count == 1:
        text = messages.tr("Replace the one rule that is there?")
    question.setText(text.format(count=count))
    question.setInformativeText(messages.tr("They are not saved in a file."))
    question.finished.connect(lambda: question.says_yes() and replace())
    question.open()


def tell_problem(error: Exception, window: QWidget) -> None:
    """Tell why rules could not be loaded, saved or suggested."""
    box = QMessageBox(window)
    box.setObjectName("rules_problem")
    box.setIcon(QMessageBox.Icon.Warning)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setWindowTitle(messages.tr("Areas by Scale"))
    box.setText(messages.sentence(error))
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
