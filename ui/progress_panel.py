"""The panel that shows a running update, or other work on a cache."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.request import Message, Severity
from ..plugin.host import messages
from .forms import load_form

FORM = load_form(__file__)


class ProgressPanel(QWidget, FORM):
    """Progress, messages as they come, and Cancel."""

    cancel_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self._title = ""
        widest = self.percent_label.fontMetrics().horizontalAdvance("100 %")
        self.percent_label.setMinimumWidth(widest)  # so that the bar stays as long as it is
        self.cancel_button.clicked.connect(self.cancel_requested)
        self.show_state(self.tr("No update is running."))

    def wait(self, text: str) -> None:
        """Say what the work waits for; it can be called off."""
        self.show_state(text)
        self.cancel_button.setEnabled(True)

    def start(self, title: str) -> None:
        """Show work that has just been started."""
        self.messages_view.clear()
        self.messages_view.setPlaceholderText(self.tr("Messages appear here."))
        self._title = title
        self.show_state(title)
        self.show_progress(0)
        self.cancel_button.setEnabled(True)

    def show_progress(self, percent: float) -> None:
        """Move the bar."""
        self.progress_bar.setValue(round(percent))
        self.percent_label.setText(self.tr("{percent} %").format(percent=round(percent)))

    def show_no_progress(self) -> None:
        """Empty the bar: how far the work is, is not known."""
        self.progress_bar.reset()
        self.percent_label.clear()

    def add_message(self, message: Message) -> None:
        """Append a line that the work told; how it gets on is said in place of what was before."""
        if message.pace is not None:
            self._show_pace(messages.message_text(message))
            return
        line = {
            Severity.INFO: "{text}",
            Severity.WARNING: self.tr("Warning: {text}"),
            Severity.ERROR: self.tr("Error: {text}"),
        }[message.severity]
        self.messages_view.appendPlainText(line.format(text=messages.message_text(message)))

    def show_cancelling(self, text: str) -> None:
        """Tell that Cancel was heard, while the work comes to its end."""
        self.cancel_button.setEnabled(False)
        self.show_state(text)

    def end(self, sentence: str) -> None:
        """Show how the work ended."""
        self.cancel_button.setEnabled(False)
        self.messages_view.setPlaceholderText(self.tr("There were no messages."))
        self.show_state(sentence)

    def _show_pace(self, text: str) -> None:
        if self.cancel_button.isEnabled():  # else it is being cancelled, which matters more
            self.show_state(f"{self._title}\n{text}")

    def show_state(self, text: str) -> None:
        """Say in one line what is going on."""
        self.progress_label.setText(text)
