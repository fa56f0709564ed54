"""How a site carries an update out: instances, following, hosted layers, and what may go wrong."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.request import SITE_DECIDES, HostedOptions, UpdateMode
from ..plugin.host.settings import Settings
from .forms import load_form

FORM = load_form(__file__)

SECONDS_A_MINUTE = 60


class SiteOptions(QWidget, FORM):
    """What can be chosen for an update that a site carries out.

    `changed`: the person chose something else in it.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self._instances = self.instances_spin.value()
        self._can_merge = True
        self.instances_spin.valueChanged.connect(self._skip_zero)
        self.merge_check.toggled.connect(self._enable_replacing)
        for changed in (
            self.instances_spin.valueChanged,
            self.wait_check.toggled,
            self.merge_check.toggled,
            self.replace_check.toggled,
            self.isolate_check.toggled,
            self.alarm_spin.valueChanged,
        ):
            changed.connect(self.changed)
        self.show_description(None)

    @property
    def is_hosted(self) -> bool:
        """Whether it is about a hosted layer."""
        return self._is_hosted

    def instances(self) -> int:
        """Caching instances, SITE_DECIDES or at least 1; a hosted layer has its own."""
        return SITE_DECIDES if self._is_hosted else self.instances_spin.value()

    def waits(self) -> bool:
        """Whether the update is followed to its end."""
        return self.wait_check.isChecked()

    def hosted(self) -> HostedOptions:
        """How a hosted layer takes new tiles; as it does by itself for any other service."""
        merges = self._is_hosted and self._can_merge and self.merge_check.isChecked()
        return HostedOptions(merges, merges and self.replace_check.isChecked())

    def isolates_failures(self) -> bool:
        """Whether what fails is looked for, bundle by bundle."""
        return self.isolate_check.isChecked()

    def alarm_seconds(self) -> float:
        """After how long without a tile more there is a warning."""
        return float(self.alarm_spin.value() * SECONDS_A_MINUTE)

    def show_description(self, description: CacheDescription | None) -> None:
        """Offer what this kind of service knows."""
        self._is_hosted = description is not None and description.is_hosted
        self.instances_row.setVisible(not self._is_hosted)
        for check in (self.merge_check, self.replace_check):
            check.setVisible(self._is_hosted)
        self._enable_replacing()

    def show_mode(self, mode: UpdateMode) -> None:
        """Offer what means something for `mode`: nothing is merged where tiles are deleted."""
        self._can_merge = mode is not UpdateMode.DELETE
        self._enable_replacing()

    def restore(self, settings: Settings) -> None:
        """Fill the panel as it was left."""
        self.instances_spin.setValue(settings.instances)
        self.wait_check.setChecked(settings.wait)
        self.merge_check.setChecked(settings.merges_bundles)
        self.replace_check.setChecked(settings.replaces_tiles)
        self.isolate_check.setChecked(settings.isolates_failures)
        self.alarm_spin.setValue(settings.alarm_minutes)

    def save(self, settings: Settings) -> None:
        """Keep the panel as it is."""
        settings.instances = self.instances_spin.value()
        settings.wait = self.waits()
        settings.merges_bundles = self.merge_check.isChecked()
        settings.replaces_tiles = self.replace_check.isChecked()
        settings.isolates_failures = self.isolates_failures()
        settings.alarm_minutes = self.alarm_spin.value()

    def _enable_replacing(self) -> None:
        merges = self._can_merge and self.merge_check.isChecked()
        self.merge_check.setEnabled(self._can_merge)
        self.merge_check.setToolTip(
            self.tr("Unticked, the site writes each bundle of tiles anew that the area touches")
            if self._can_merge
            else self.tr("Tiles are deleted by whole bundles")
        )
        self.replace_check.setEnabled(merges)
        self.replace_check.setToolTip(
            self.tr("Unticked, only tiles that are missing are added to a bundle")
            if merges
            else self.tr("Bundles that are not merged are written anew as a whole")
        )

    def _skip_zero(self, instances: int) -> None:
        """No instances would make no tiles: step from "the site decides" to 1 and back."""
        if instances == 0:
            upwards = self._instances == SITE_DECIDES
            self.instances_spin.setValue(1 if upwards else SITE_DECIDES)
        self._instances = self.instances_spin.value()
