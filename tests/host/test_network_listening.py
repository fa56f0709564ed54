"""Listening to QGIS's network access ends with the plugin."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QEvent

from tile_cache_manager.plugin.host import network_watch

pytestmark = pytest.mark.usefixtures("qgis_app")


def listeners() -> list[Any]:
    """All that the application keeps, of whatever life of the plugin."""
    return QCoreApplication.instance().findChildren(network_watch._Listener)


def test_there_is_one_listener_until_the_plugin_is_taken_away() -> None:
    # those that tests before took away, which go when Qt gets to it
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    network_watch.listen()
    network_watch.listen()
    (listener,) = listeners()

    network_watch.stop_listening()
    QCoreApplication.sendPostedEvents(listener, QEvent.Type.DeferredDelete)

    assert sip.isdeleted(listener)
    assert listeners() == []
    network_watch.listen()  # as other tests found it
    assert len(listeners()) == 1
