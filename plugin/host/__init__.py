"""Between QGIS and the core, without widgets: rendering, geometry, settings, tasks, messages."""
