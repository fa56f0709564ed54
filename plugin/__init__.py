"""The plugin proper: what it registers, the work it does, and its way into QGIS."""
