"""What is measured, not tested: speed, memory, how smoothly the window runs. `make bench`."""

import plugin_package

plugin_package.load()
