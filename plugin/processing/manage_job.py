"""`tilecache:managejob`: follow, report, cancel or take up an update that a site carries out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterAuthConfig,
    QgsProcessingParameterEnum,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core import carrying_on
from ..core.errors import FollowedElsewhere, TileCacheError, UnknownJob
from ..core.jobs import RecordedUpdate
from ..core.request import Feedback, Outcome, UpdateReport
from ..core.site_update import SiteUpdate, TakeUp
from ..host import job_record, messages, network, sign_in
from .algorithm import CacheAlgorithm, Words
from .manage_parameters import DO_NOT_WAIT, DO_WAIT
from .reading import Values
from .texts_job import MANAGE_JOB_HELP
from .values import advanced, core_feedback

REPORT, FOLLOW, CANCEL = "REPORT", "FOLLOW", "CANCEL"
HOLD_SECONDS = 15.0
"""So long it waits for somebody who just looks how the update is."""

ACTIONS = [REPORT, FOLLOW, CANCEL, *(how.value for how in TakeUp)]


class ManageJob(CacheAlgorithm):
    """Follow, report, cancel or take up an update on a site."""

    INPUT_JOB = "INPUT_JOB"
    ACTION = "ACTION"
    WAIT = "WAIT"
    AUTH_CONFIG = "AUTH_CONFIG"
    PORTAL_URL = "PORTAL_URL"
    STATE = "STATE"
    PERCENT = "PERCENT"
    JOB_URL = "JOB_URL"
    OUTPUT_URL = "OUTPUT_URL"

    # CacheAlgorithm interface

    def words(self) -> Words:
        return Words(
            name="managejob",
            title=_tr("Manage job"),
            tags=_tr("tiles,cache,job,follow,report,cancel,resume,fix,arcgis"),
            summary=_tr("Follows, reports, cancels or takes up an update that a site carries out"),
            help=_tr(MANAGE_JOB_HELP),
        )

    # QgsProcessingAlgorithm interface

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterString(self.INPUT_JOB, _tr("Job (its address)")))
        self.addParameter(
            QgsProcessingParameterEnum(
                self.ACTION,
                _tr("What to do ({values})").format(values=", ".join(ACTIONS)),
                options=ACTIONS,
                defaultValue=REPORT,
                usesStaticStrings=True,
            )
        )
        self.addParameter(
            QgsProcessingParameterEnum(
                self.WAIT,
                _tr("Wait for a job that is taken up ({values})").format(
                    values=f"{DO_WAIT}, {DO_NOT_WAIT}"
                ),
                options=[DO_WAIT, DO_NOT_WAIT],
                defaultValue=DO_WAIT,
                usesStaticStrings=True,
            )
        )
        self.addParameter(
            QgsProcessingParameterAuthConfig(
                self.AUTH_CONFIG, _tr("Sign-in (empty: that of the update)"), optional=True
            )
        )
        for parameter in advanced(
            QgsProcessingParameterString(
                self.PORTAL_URL, _tr("Portal that the site belongs to"), optional=True
            )
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(self.STATE, _tr("State")))
        self.addOutput(QgsProcessingOutputNumber(self.PERCENT, _tr("Percent done")))
        self.addOutput(QgsProcessingOutputString(self.JOB_URL, _tr("Address of the job")))
        self.addOutput(QgsProcessingOutputString(self.OUTPUT_URL, _tr("Updated cache")))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        values = Values(self, parameters, context)
        try:
            self._action(values)
            self._waits(values)
            if not values.text(self.INPUT_JOB).strip():
                raise UnknownJob(values.text(self.INPUT_JOB))
        except TileCacheError as error:
            return False, messages.sentence(error)
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """On the main thread: sign-in and proxies; what goes wrong is raised when work begins."""
        self._problem: TileCacheError | None = None
        values = Values(self, parameters, context)
        address = values.text(self.INPUT_JOB).strip()
        try:
            self._recorded = _recorded(address)
            known = self._recorded
            self._auth_config_id = values.text(self.AUTH_CONFIG)
            portal_url = values.text(self.PORTAL_URL)
            if known is not None:
                self._auth_config_id = self._auth_config_id or known.auth_config_id
                portal_url = portal_url or known.update.portal_url
            self._sign_in = sign_in.credentials(self._auth_config_id, portal_url)
            self._transport = network.transport(self._auth_config_id, address, portal_url)
        except TileCacheError as error:
            self._problem = error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        values = Values(self, parameters, context)
        try:
            if self._problem is not None:
                raise self._problem
            return self._work(values, feedback)
        except TileCacheError as error:
            raise QgsProcessingException(messages.sentence(error)) from error

    # own

    def _work(self, values: Values, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        update = self._update(values, feedback)
        action = self._action(values)
        if action == REPORT:
            looked = carrying_on.look_at(update, cancelled=feedback.isCanceled, **self._door())
            return self._told(looked, feedback)
        with job_record.keep_in_record(self._auth_config_id) as keep:
            spoken = core_feedback(feedback)
            if _hold(update, keep, action, feedback):
                spoken = replace(spoken, keep=keep)
            if self._recorded is not None:  # as it is now that nobody else goes on with it
                update = job_record.record().find(update.key).update
            if action == CANCEL:
                update = carrying_on.cancel_update(update, spoken, **self._door())
            else:
                _tell(self._followed(update, action, self._waits(values), spoken), feedback)
            return self._told(keep.update or update, feedback)

    def _followed(
        self, update: SiteUpdate, action: str, waits: bool, spoken: Feedback
    ) -> UpdateReport:
        if action == FOLLOW:
            return carrying_on.carry_on(update, spoken, **self._door())
        # the record may have it running still, which the site has ended since
        looked = carrying_on.look_at(update, cancelled=spoken.cancelled, **self._door())
        if looked != update:
            spoken.keep(looked)
        return carrying_on.take_up(looked, TakeUp(action), spoken, wait=waits, **self._door())

    def _update(self, values: Values, feedback: QgsProcessingFeedback) -> SiteUpdate:
        """The update that the record has, or one made from its job alone. Raises UnknownJob."""
        if self._recorded is not None:
            return self._recorded.update
        address = values.text(self.INPUT_JOB).strip()
        return carrying_on.update_at(address, cancelled=feedback.isCanceled, **self._door())

    def _door(self) -> dict[str, Any]:
        return {"sign_in": self._sign_in, "transport": self._transport}

    def _told(self, update: SiteUpdate, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        for line in messages.job_lines(update):
            feedback.pushInfo(line)
        urls = update.job_urls
        return {
            self.STATE: update.state.name,
            self.PERCENT: 100.0 if update.state.name == "DONE" else update.percent,
            self.JOB_URL: urls[-1] if urls else "",
            self.OUTPUT_URL: update.output_url or update.address,
        }

    def _action(self, values: Values) -> str:
        """Raises BadCacheOption."""
        return values.keyword(self.ACTION, ACTIONS)

    def _waits(self, values: Values) -> bool:
        """Raises BadCacheOption."""
        return values.keyword(self.WAIT, [DO_WAIT, DO_NOT_WAIT]) == DO_WAIT


def _recorded(address: str) -> RecordedUpdate | None:
    """The update of the record that has this job; None where it has none."""
    try:
        return job_record.record().find(address)
    except UnknownJob:
        return None


def _hold(
    update: SiteUpdate, keep: job_record.Keeping, action: str, feedback: QgsProcessingFeedback
) -> bool:
    """Be the one who goes on with `update`. Raises FollowedElsewhere.

    To be cancelled it need not be held, nor waited for: who follows it sees that, and keeps it;
    then False.
    """
    try:
        keep.hold(update.key, 0.0 if action == CANCEL else HOLD_SECONDS, feedback.isCanceled)
    except FollowedElsewhere:
        if action != CANCEL:
            raise
        return False
    return True


def _tell(report: UpdateReport, feedback: QgsProcessingFeedback) -> None:
    tell = feedback.pushWarning if report.outcome is Outcome.PARTIAL else feedback.pushInfo
    tell(messages.report_sentence(report))


def _tr(text: str) -> str:
    return QCoreApplication.translate("ManageJob", text)
