"""The client of long work on a site: stops when the work is to stop, bears no long silence."""

from __future__ import annotations

from ..request import Feedback
from .client import Client
from .credentials import SignIn
from .patience import PatientTransport
from .transport import RequestsTransport, Transport


def patient_client(
    site_url: str,
    feedback: Feedback,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
) -> Client:
    """A client of the site at `site_url` that tells `feedback` of silences; see PatientTransport.

    Once `feedback` says that the work is cancelled or abandoned, nothing is repeated any more.
    Nothing is sent yet.
    """

    def stopped() -> bool:
        return feedback.cancelled() or feedback.abandoned()

    sender = PatientTransport(transport or RequestsTransport(), feedback.message)
    return Client(sender, site_url, sign_in, cancelled=stopped)
